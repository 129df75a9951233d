/**
 * @module What a call costs through the breaker while the service fails, and how little the traffic of the last seconds
 * matters; beside cockatiel, and beside opossum as it comes.
 *
 * `npm run bench -- breaker` takes a minute; `short` some seconds, and writes no results.
 */
import {
  type Call,
  type Clock,
  createCall,
  createReply,
  gate,
  type Handler,
  type Runtime,
  Scope,
  systemClock,
} from '@fairlead/core';
import { type BreakerOptions, breaker } from '@fairlead/policies';
import { ConsecutiveBreaker, circuitBreaker, handleAll, SamplingBreaker } from 'cockatiel';
import CircuitBreaker from 'opossum';
import { type Case, measure, save } from './measure.ts';

const short = process.argv.includes('short');
const HOUR = 3_600_000;

/** The window must not move while it is measured what it costs when it is full. */
const still: Clock = Object.assign(Object.create(systemClock), { now: () => 1_000 });
const runtime: Runtime = { clock: still };
const root = new Scope(still);
const newCall = (): Call => createCall({ service: 'payments', runtime, scope: root });

const unwell = Promise.resolve(createReply({ status: 500, at: 1_001 }));
const well = Promise.resolve(createReply({ at: 1_001 }));
let failing = true;
const service: Handler = () => (failing ? unwell : well);
const error = new Error('500');
const work = (): Promise<unknown> => (failing ? Promise.reject(error) : well);
const ignore = (): void => {};

/** Never opens, whatever fails. */
const watching: Partial<BreakerOptions> = { windowMs: HOUR, minCalls: 1e9 };

type Run = (n: number) => Promise<void>;

/** Runs `run` for `samples` good calls, then gives what runs it for bad ones. */
async function filled(samples: number, run: Run): Promise<Run> {
  failing = false;
  await run(samples);
  return async (n) => {
    failing = true;
    await run(n);
  };
}

function ours(options: Partial<BreakerOptions>): Run {
  const layer = gate(breaker({ ...watching, ...options }));
  return async (n) => {
    for (let i = 0; i < n; i++) await layer(newCall(), service);
  };
}

function bareOpossum(options: CircuitBreaker.Options): Run {
  const circuit = new CircuitBreaker(work, {
    timeout: false,
    rollingCountTimeout: HOUR,
    volumeThreshold: 1e9,
    ...options,
  });
  return async (n) => {
    for (let i = 0; i < n; i++) await circuit.fire().catch(ignore);
  };
}

function cockatiel(): Run {
  const policy = circuitBreaker(handleAll, {
    halfOpenAfter: HOUR,
    breaker: new SamplingBreaker({ threshold: 0.99, duration: HOUR, minimumRps: 1e9 }),
  });
  return async (n) => {
    for (let i = 0; i < n; i++) await policy.execute(work).catch(ignore);
  };
}

const stub: Run = async (n) => {
  for (let i = 0; i < n; i++) await service(newCall());
};

const failures: Case[] = [{ name: 'no breaker', run: await filled(1, stub) }];
for (const samples of [100, 10_000, 50_000]) {
  const at = `, ${samples.toLocaleString('en-US')} calls in the window`;
  failures.push(
    { name: `fairlead${at}`, run: await filled(samples, ours({})) },
    { name: `fairlead, engine opossum${at}`, run: await filled(samples, ours({ engine: 'opossum' })) },
    { name: `opossum${at}`, run: await filled(samples, bareOpossum({})) },
    { name: `cockatiel${at}`, run: await filled(samples, cockatiel()) },
  );
}
const rows = await measure({
  name: 'A call that fails, closed',
  cases: failures,
  rounds: short ? 3 : 15,
  perRound: short ? 50 : 200,
  baseline: 'no breaker',
  bars: [100, 10_000, 50_000].map((samples) => ({
    case: `fairlead, ${samples.toLocaleString('en-US')} calls in the window`,
    metric: 'cpu' as const,
    max: 15,
    over: 'no breaker',
  })),
});

const goodOf =
  (run: Run): Run =>
  async (n) => {
    failing = false;
    await run(n);
  };
const successes = await measure({
  name: 'A call that succeeds, closed',
  cases: [
    { name: 'no breaker', run: goodOf(stub) },
    { name: 'fairlead', run: goodOf(ours({})) },
    { name: 'fairlead, slow calls counted', run: goodOf(ours({ slowMs: 1_000 })) },
    { name: 'opossum', run: goodOf(bareOpossum({})) },
    { name: 'cockatiel', run: goodOf(cockatiel()) },
  ],
  rounds: short ? 3 : 20,
  perRound: 5_000,
  baseline: 'no breaker',
});

const open = breaker();
open.forceOpen();
const refusing = gate(open);
const broken = new CircuitBreaker(work, { timeout: false });
broken.open();
const cut = circuitBreaker(handleAll, { halfOpenAfter: HOUR, breaker: new ConsecutiveBreaker(1) });
failing = true;
await cut.execute(work).catch(ignore);
const refusals = await measure({
  name: 'A call that is refused, open',
  cases: [
    {
      name: 'fairlead',
      async run(n) {
        for (let i = 0; i < n; i++) await refusing(newCall(), service).catch(ignore);
      },
    },
    {
      name: 'opossum',
      async run(n) {
        for (let i = 0; i < n; i++) await broken.fire().catch(ignore);
      },
    },
    {
      name: 'cockatiel',
      async run(n) {
        for (let i = 0; i < n; i++) await cut.execute(work).catch(ignore);
      },
    },
  ],
  rounds: short ? 3 : 20,
  perRound: 2_000,
  baseline: 'fairlead',
});

if (!short) save('breaker', [...rows, ...successes, ...refusals]);
process.exit();
