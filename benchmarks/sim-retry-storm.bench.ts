/**
 * @module The retry storm of Bronson et al., "Metastable Failures in Distributed Systems" (HotOS 2021), in virtual time: 280
 * requests per second to a database that does 300, in order; for ten seconds it does nothing. With a plain retry it never
 * recovers: 560 requests per second arrive, and each is answered too late to be of use. The shipped layers, seeds fixed.
 *
 * A request that is canceled leaves the queue only where the server minds deadlines; elsewhere its work is done for nothing.
 *
 * `npm run bench -- sim-retry-storm` takes half a minute; `short` some seconds, and writes no results.
 */
import {
  type Call,
  compose,
  createCall,
  createReply,
  discard,
  type Handler,
  later,
  type Middleware,
  type Reply,
  type Runtime,
  Scope,
  type ScopeWatcher,
  Timer,
} from '@fairlead/core';
import { attemptTimeout, deadline, retry, retryBudget } from '@fairlead/policies';
import { Prng, VirtualClock } from '@fairlead/testing';
import { check, type Row, round, save } from './measure.ts';

const short = process.argv.includes('short');
const PER_SECOND = 280;
const CAPACITY = 300;
const TIMEOUT_MS = 1_000;
const BLACKOUT = [30_000, 40_000] as const;
const END_MS = short ? 70_000 : 240_000;
/** A service of some hundred processes scales its floor down; here one process stands for all of them. */
const FLOOR_PER_SECOND = 1;

/** One request to the database. */
class Query implements ScopeWatcher {
  dropped = false;
  readonly call: Call;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: unknown) => void;
  constructor(call: Call, resolve: (reply: Reply) => void, reject: (reason: unknown) => void) {
    this.call = call;
    this.resolve = resolve;
    this.reject = reject;
  }
  onCancel(reason: unknown): void {
    this.dropped = true;
    this.reject(reason);
  }
}

/** One worker that takes requests in order, each for the same time. */
class Database extends Timer {
  arrived = 0;
  readonly #clock: VirtualClock;
  readonly #mindsDeadlines: boolean;
  #queue: Query[] = [];
  #head = 0;
  #busy: Query | null = null;

  constructor(clock: VirtualClock, mindsDeadlines: boolean) {
    super();
    this.#clock = clock;
    this.#mindsDeadlines = mindsDeadlines;
  }

  ask(call: Call): Promise<Reply> {
    this.arrived++;
    return new Promise((resolve, reject) => {
      const query = new Query(call, resolve, reject);
      call.scope.watch(query);
      if (query.dropped) return;
      this.#queue.push(query);
      if (this.#busy === null) this.#begin();
    });
  }

  #begin(): void {
    let query = this.#queue[this.#head++];
    while (query?.dropped && this.#mindsDeadlines) query = this.#queue[this.#head++];
    if (query === undefined) {
      this.#queue = [];
      this.#head = 0;
      return;
    }
    this.#busy = query;
    const now = this.#clock.now();
    const [from, to] = BLACKOUT;
    this.#clock.arm(this, Math.max(now, now >= from && now < to ? to : now) + 1_000 / CAPACITY);
  }

  fire(): void {
    const query = this.#busy as Query;
    this.#busy = null;
    if (!query.dropped) {
      query.call.scope.unwatch(query);
      query.resolve(createReply({ at: this.#clock.now() }));
    }
    this.#begin();
  }
}

/** What most programs do: again, at once. */
function plainRetry(retries: number): Middleware {
  return async (call, next) => {
    for (let left = retries; ; left--) {
      try {
        return await next(call.with({ at: call.runtime.clock.now() }));
      } catch (error) {
        if (left === 0) throw error;
      }
    }
  };
}

interface Policy {
  readonly name: string;
  readonly layers: () => Middleware[];
  readonly mindsDeadlines: boolean;
}

const budgeted = (): Middleware[] => {
  const budget = retryBudget({ ratio: 0.1, minPerSecond: FLOOR_PER_SECOND });
  return [retry({ attempts: 4, budget }), attemptTimeout({ ms: TIMEOUT_MS })];
};

const policies: readonly Policy[] = [
  { name: 'no retry', layers: () => [attemptTimeout({ ms: TIMEOUT_MS })], mindsDeadlines: false },
  { name: 'plain, 1 retry', layers: () => [plainRetry(1), attemptTimeout({ ms: TIMEOUT_MS })], mindsDeadlines: false },
  {
    name: 'plain, 3 retries',
    layers: () => [plainRetry(3), attemptTimeout({ ms: TIMEOUT_MS })],
    mindsDeadlines: false,
  },
  { name: 'fairlead, 3 retries, the server minds no deadline', layers: budgeted, mindsDeadlines: false },
  { name: 'fairlead, 3 retries', layers: () => [deadline({ ms: 4_000 }), ...budgeted()], mindsDeadlines: true },
];

interface Result {
  /** Good answers per second before the blackout, and in the last ten seconds. */
  readonly before: number;
  readonly after: number;
  /** Requests per second that arrived in the last ten seconds. */
  readonly arrivals: number;
  /** From the end of the blackout to the first second with 98 % of what was before; Infinity if there is none. */
  readonly recoveryMs: number;
}

async function run(policy: Policy, seed: number): Promise<Result> {
  const clock = new VirtualClock({ seed });
  const runtime: Runtime = { clock };
  const database = new Database(clock, policy.mindsDeadlines);
  const end: Handler = (call) => database.ask(call);
  const handler = compose(policy.layers(), end);
  /** Good answers by the tenth of a second in which they came. */
  const good = new Float64Array(END_MS / 100 + 1);
  const gaps = new Prng(seed);
  let last = 0;
  const arrive = (): void => {
    const now = clock.now();
    if (now >= END_MS) return;
    const scope = new Scope(clock);
    handler(createCall({ service: 'database', runtime, scope })).then(
      (reply) => {
        discard(reply);
        scope.close();
        const slot = Math.floor(clock.now() / 100);
        if (slot < good.length) (good[slot] as number)++;
      },
      () => scope.close(),
    );
    // Evenly, with a little chance, so that the queue is never empty or full by rhythm alone.
    later(clock, ((0.5 + gaps.random()) * 1_000) / PER_SECOND, arrive);
  };
  arrive();
  later(clock, END_MS - 10_000, () => {
    last = database.arrived;
  });
  await clock.advance(END_MS);
  const perSecond = (fromMs: number, toMs: number): number => {
    const sum = good.subarray(fromMs / 100, toMs / 100).reduce((a, b) => a + b, 0);
    return (sum * 1_000) / (toMs - fromMs);
  };
  const before = perSecond(10_000, BLACKOUT[0]);
  let recoveryMs = Number.POSITIVE_INFINITY;
  for (let from = BLACKOUT[1]; from + 1_000 <= END_MS; from += 100) {
    if (perSecond(from, from + 1_000) < 0.98 * before) continue;
    recoveryMs = from - BLACKOUT[1];
    break;
  }
  const arrivals = (database.arrived - last) / 10;
  return { before, after: perSecond(END_MS - 10_000, END_MS), arrivals, recoveryMs };
}

const rows: Row[] = [];
function row(name: string, metric: string, unit: string, value: number): void {
  // JSON has no Infinity: -1 is never.
  const rounded = Number.isFinite(value) ? round(value) : -1;
  rows.push({ case: name, metric, unit, median: rounded, min: rounded, max: rounded, ratioTo: {} });
}

console.log(
  '\n280 requests per second, a server of 300, ten seconds of nothing (published: with 1 retry it never recovers)',
);
for (const policy of policies) {
  const { before, after, arrivals, recoveryMs } = await run(policy, 1);
  const recovered = Number.isFinite(recoveryMs) ? `after ${(recoveryMs / 1_000).toFixed(1)} s` : 'never';
  console.log(
    `  ${policy.name.padEnd(50)} ${before.toFixed(0)} good/s before, ${after.toFixed(0)} at the end; ` +
      `${arrivals.toFixed(0)} requests/s; recovered ${recovered}`,
  );
  row(policy.name, 'recovery, -1 is never', 'ms', recoveryMs);
  row(policy.name, 'goodput at the end', '1/s', after);
  row(policy.name, 'requests at the end', '1/s', arrivals);
  if (policy.name === 'fairlead, 3 retries') {
    check('fairlead, 3 retries: back to 98 % of the goodput before', recoveryMs, 'ms', 1_000);
  }
}
if (!short) save('sim-retry-storm', rows);
