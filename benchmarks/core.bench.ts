/**
 * @module What the contracts themselves cost: a layer that does nothing, a scope, a copy of a call, a timer that does not
 * fire, a gate, a refusal; and six layers of the usual shapes together.
 */
import {
  type Call,
  compose,
  createCall,
  createEndpoint,
  createReply,
  type Gate,
  gate,
  type Handler,
  type Leave,
  later,
  type Middleware,
  nothingToReport,
  type Outcome,
  type RejectedError,
  type Runtime,
  rejected,
  Scope,
  systemClock,
} from '@fairlead/core';
import { measure, save } from './measure.ts';

const runtime: Runtime = { clock: systemClock };
const endpoint = createEndpoint('http://10.0.0.5:8080');
const answered = Promise.resolve(createReply());
const stub: Handler = () => answered;
const root = new Scope(systemClock);
// A service in use always has something to wait for; the first foreground timer is dearer than the rest.
later(systemClock, 3_600_000, () => process.exit(1));

// Several that do the same: in a real stack, too, the compiler cannot know which layer comes next.
const passThroughs: Middleware[] = [
  (call, next) => next(call),
  (it, next) => next(it),
  (call, on) => on(call),
  (it, on) => on(it),
  (request, below) => below(request),
];
const asyncPassThroughs: Middleware[] = [
  async (call, next) => next(call),
  async (it, next) => next(it),
  async (call, on) => on(call),
  async (it, on) => on(it),
  async (request, below) => below(request),
];

/** Enough of one kind to stand out from the noise of the call around them. */
const LAYERS = 50;
const many = (...layers: Middleware[]): Middleware[] =>
  Array.from({ length: LAYERS }, (_, i) => layers[i % layers.length] as Middleware);

/** Lets everything in, as a token bucket with nothing to learn does. */
const bucket: Gate = {
  name: 'bucket',
  enter(call) {
    tokens = Math.min(1e9, tokens + (call.at - filledAt) * 1e3);
    filledAt = call.at;
    return tokens-- >= 1 ? nothingToReport : rejected('limit', call.service, 'no tokens');
  },
};
let tokens = 1e9;
let filledAt = 0;

/** Counts outcomes, as a breaker does while it is closed. */
class CountingGate implements Gate {
  readonly name = 'counting';
  readonly until: 'head' | 'end';
  successes = 0;
  failures = 0;
  readonly #leave: Leave = (outcome: Outcome) => {
    if (outcome.error === null) this.successes++;
    else this.failures++;
  };
  constructor(until: 'head' | 'end') {
    this.until = until;
  }
  enter(): Leave | RejectedError {
    return this.#leave;
  }
}

/** The shape of a timeout: a scope of its own, until the request is over. */
function timeout(of: 'call' | 'attempt', ms: number): Middleware {
  return (call, next) => {
    const scope = call.scope.child();
    scope.expireAt(call.at + ms, of, ms);
    return next(call.with({ scope })).then(
      (reply) => {
        reply.onEnd(() => scope.close());
        return reply;
      },
      (error: unknown) => {
        scope.close();
        throw error;
      },
    );
  };
}

/** The shape of a retry whose first attempt is good. */
const retryOnce: Middleware = (call, next) =>
  next(call).then(
    (reply) => (reply.status < 500 ? reply : next(call.with({ attempt: 2 }))),
    () => next(call.with({ attempt: 2 })),
  );

/** The shape of the balancer: choose, note, send on, count until the end. */
let inFlight = 0;
const release = (): void => void inFlight--;
const choose: Middleware = (call, next) => {
  call.tried.add(endpoint);
  inFlight++;
  return next(call.with({ endpoint })).then((reply) => {
    reply.onEnd(release);
    return reply;
  });
};

const sixLayers = [
  timeout('call', 10_000),
  gate(bucket),
  gate(new CountingGate('head')),
  retryOnce,
  timeout('attempt', 2_000),
  choose,
];

const newCall = (): Call => createCall({ service: 'payments', path: '/charges/42', runtime, scope: root });
const calls = (layers: readonly Middleware[]) => {
  const handler = compose(layers, stub);
  return async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) await handler(newCall());
  };
};

const stacks = await measure({
  name: 'Stacks over a handler that answers at once, per call',
  perRound: 10_000,
  baseline: 'no layers',
  cases: [
    { name: 'no layers', run: calls([]) },
    { name: 'six real layers, two timeouts', run: calls(sixLayers) },
    { name: 'one pass-through layer', run: calls(many(...passThroughs)), less: 'no layers', per: LAYERS },
    {
      name: 'one async pass-through layer',
      run: calls(many(...asyncPassThroughs)),
      less: 'no layers',
      per: LAYERS,
    },
    { name: 'one gate that does not care', run: calls(many(gate(bucket))), less: 'no layers', per: LAYERS },
    {
      name: 'one gate told at the head',
      run: calls(many(gate(new CountingGate('head')))),
      less: 'no layers',
      per: LAYERS,
    },
    {
      name: 'one gate told at the end',
      run: calls(many(gate(new CountingGate('end')))),
      less: 'no layers',
      per: LAYERS,
    },
    { name: 'one timeout', run: calls(many(timeout('call', 10_000))), less: 'no layers', per: LAYERS },
  ],
  bars: [
    { case: 'one pass-through layer', metric: 'cpu', max: 0.15 },
    { case: 'one async pass-through layer', metric: 'cpu', max: 0.15 },
    { case: 'six real layers, two timeouts', metric: 'cpu', max: 4 },
  ],
});

const sample = newCall();
/** What is put here was really made: the compiler leaves out what nobody could ever see. */
let kept: unknown;
const scope = new Scope(systemClock);
const parts = await measure({
  name: 'Parts, each alone',
  perRound: 20_000,
  cases: [
    {
      name: 'new call',
      run(n) {
        for (let i = 0; i < n; i++) kept = newCall();
      },
    },
    {
      name: 'call.with',
      run(n) {
        for (let i = 0; i < n; i++) kept = sample.with({ endpoint });
      },
    },
    {
      name: 'scope: new, close',
      run(n) {
        for (let i = 0; i < n; i++) root.child().close();
      },
    },
    {
      name: 'scope: new, expireAt, close',
      run(n) {
        const now = systemClock.now();
        for (let i = 0; i < n; i++) {
          const child = root.child();
          child.expireAt(now + 2_000 + (i & 1023), 'call', 2_000);
          child.close();
        }
      },
    },
    {
      name: 'arm, disarm',
      run(n) {
        const now = systemClock.now();
        for (let i = 0; i < n; i++) {
          systemClock.arm(scope, now + 2_000 + (i & 1023));
          systemClock.disarm(scope);
        }
      },
    },
    {
      name: 'a clock reading',
      run(n) {
        for (let i = 0; i < n; i++) kept = systemClock.now();
      },
    },
    {
      name: 'rejected()',
      run(n) {
        for (let i = 0; i < n; i++) kept = rejected('limit', 'payments', 'payments: over the limit', 100);
      },
    },
    {
      name: 'for comparison: an AbortController',
      run(n) {
        for (let i = 0; i < n; i++) kept = new AbortController().signal;
      },
    },
  ],
  bars: [{ case: 'rejected()', metric: 'cpu', max: 1 }],
});

save('core', [...stacks, ...parts]);
// The last value is used, so none before it can be left out.
process.exit(kept === undefined ? 1 : undefined);
