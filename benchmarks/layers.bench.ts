/**
 * @module What each layer costs, alone over a handler that answers at once: where all is well, and where it refuses. And
 * what they cost together, as the stack of a client.
 *
 * `npm run bench -- layers` takes a minute; `npm run bench -- layers short` some seconds, and writes no results.
 */
import { balance, Cluster, fixed, p2c } from '@fairlead/balance';
import {
  type Call,
  compose,
  createCall,
  createReply,
  type Gate,
  gate,
  type Handler,
  isRefusal,
  later,
  type Middleware,
  Outcome,
  type Resolver,
  type Runtime,
  Scope,
  systemClock,
  TimeoutError,
  TransportError,
} from '@fairlead/core';
import {
  attemptTimeout,
  breaker,
  deadline,
  fallback,
  hedge,
  injectFault,
  keyedBuckets,
  mirror,
  pace,
  race,
  retry,
  retryBudget,
  throttle,
  tokenBucket,
} from '@fairlead/policies';
import { noAmbient, propagate, runWith, trace } from '@fairlead/telemetry';
import { createClient } from 'fairlead';
import { type Case, measure, save } from './measure.ts';

const short = process.argv.includes('short');
const rounds = short ? 5 : 30;
const HOUR = 3_600_000;
const runtime: Runtime = { clock: systemClock };
// A service in use always has something to wait for; the first foreground timer is dearer than the rest.
later(systemClock, HOUR, () => process.exit(1));

const answered = Promise.resolve(createReply({ at: systemClock.now() }));
const good: Handler = () => answered;
const unwell = Promise.resolve(createReply({ status: 503 }));
const failing: Handler = () => unwell;
const error = new TransportError({ phase: 'connect', sent: 'no', service: 'payments' });
const broken: Handler = () => Promise.reject(error);

/** Calls inside of a request have a deadline before they set one themselves. */
const request = new Scope(systemClock);
request.expireAt(systemClock.now() + HOUR, 'call', HOUR);
const late = new Scope(systemClock);
late.cancel(new TimeoutError({ of: 'call', ms: 1_000 }));

const headers = ['accept', 'application/json', 'user-agent', 'fairlead-benchmark'];
const newCall = (within: Scope): Call =>
  createCall({ service: 'payments', path: '/charges/42', headers, runtime, scope: within.child() });

/** Calls one after another through `layers`; each brings a scope of its own and closes it, as the doors do. */
function through(layers: readonly Middleware[] | Handler, end: Handler = good, within: Scope = request): Case['run'] {
  const handler = typeof layers === 'function' ? layers : compose(layers, end);
  return async (n) => {
    for (let i = 0; i < n; i++) {
      const call = newCall(within);
      await handler(call);
      call.scope.close();
    }
  };
}

/** The same for calls that are refused. */
function refused(layers: readonly Middleware[], end: Handler = good, within: Scope = request): Case['run'] {
  const handler = compose(layers, end);
  return async (n) => {
    for (let i = 0; i < n; i++) {
      const call = newCall(within);
      try {
        await handler(call);
      } catch {
        call.scope.close();
        continue;
      }
      throw new Error('a call that was to be refused was not');
    }
  };
}

const origins = [1, 2, 3, 4, 5].map((i) => `http://10.0.0.${i}:8080`);
const nobody: Resolver = { name: 'nobody', watch: (tell) => tell({ endpoints: [] }) };
const clusterOf = (resolver: Resolver): Cluster => new Cluster({ service: 'payments', resolver, runtime });
const balanced = (cost: 'inFlight' | 'latency'): Middleware =>
  balance({ cluster: clusterOf(fixed(origins)), picker: p2c({ cost }) });

const wide = { perSecond: 1e9, burst: 1e9 };
const empty = { perSecond: 1e-6, burst: 1 };
const ambient = {
  ...noAmbient,
  trace: { traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331', flags: 1, state: null },
};
const insideRequest = (run: Case['run']): Case['run'] => {
  return (n, latencies) => runWith(ambient, run, n, latencies);
};

const closed = (): Gate => breaker({ minCalls: 1_000_000 });
const sixLayers = [
  deadline({ ms: 10_000 }),
  gate(tokenBucket(wide)),
  gate(closed()),
  retry(),
  attemptTimeout({ ms: 2_000 }),
  balanced('inFlight'),
];

/**
 * The stack that a client makes, with everything on that can be turned on. Its last layers are `propagate` and one that
 * answers instead of sending; the client's own `propagate`, and the layer that tells about attempts, are below and not
 * reached.
 */
function standard(on?: () => void): Handler {
  const client = createClient({
    environment: false,
    on,
    services: {
      payments: {
        from: origins,
        cost: 'latency',
        limit: { perSecond: 10_000_000, burst: 1_000_000 },
        fallback: { to: { status: 204 } },
        layers: { attempt: [propagate(), good] },
      },
    },
  });
  return client.handler('payments');
}

const well = await measure({
  name: 'Layers over a handler that answers at once: what each adds to a call',
  // One layer is little beside the call around it.
  perRound: 30_000,
  rounds,
  cases: [
    { name: 'no layers', run: through([]) },
    { name: 'trace: no trace going on', run: through([trace()]), less: 'no layers' },
    { name: 'trace: begins a trace', run: through([trace({ newTraces: 'unsampled' })]), less: 'no layers' },
    { name: 'trace: inside a request', run: insideRequest(through([trace()])), less: 'no layers' },
    {
      name: 'propagate: a deadline',
      run: through([trace(), propagate()]),
      less: 'trace: no trace going on',
    },
    {
      name: 'propagate: a deadline and a trace',
      run: insideRequest(through([trace(), propagate()])),
      less: 'trace: inside a request',
    },
    { name: 'fallback: not needed', run: through([fallback({ to: {} })]), less: 'no layers' },
    { name: 'deadline: in time', run: through([deadline({ ms: 10_000 })]), less: 'no layers' },
    { name: 'tokenBucket: lets in', run: through([gate(tokenBucket(wide))]), less: 'no layers' },
    { name: 'breaker: closed', run: through([gate(closed())]), less: 'no layers' },
    { name: 'retry: not needed', run: through([retry()]), less: 'no layers' },
    { name: 'attemptTimeout: in time', run: through([attemptTimeout({ ms: 2_000 })]), less: 'no layers' },
    { name: 'hedge: an answer in time', run: through([hedge({ delayMs: 1_000 })]), less: 'no layers' },
    { name: 'pace: in shadow, no wait', run: through([pace({ perSecond: 2_000, mode: 'shadow' })]), less: 'no layers' },
    { name: 'throttle: lets in', run: through([gate(throttle())]), less: 'no layers' },
    { name: 'mirror: no copy', run: through([mirror({ to: good, ratio: 0 })]), less: 'no layers' },
    { name: 'injectFault: no fault', run: through([injectFault({ ratio: 0 })]), less: 'no layers' },
    { name: 'balance: of 5, by inFlight', run: through([balanced('inFlight')]), less: 'no layers' },
    { name: 'balance: of 5, by latency', run: through([balanced('latency')]), less: 'no layers' },
    { name: 'race: won', run: through([race()]), less: 'no layers' },
  ],
});

const together = await measure({
  name: 'Stacks over a handler that answers at once, per call',
  perRound: 30_000,
  rounds,
  baseline: 'nothing',
  cases: [
    { name: 'nothing', run: through([]) },
    { name: 'six real layers, two timeouts', run: through(sixLayers) },
    { name: 'standard stack', run: through(standard()) },
    { name: 'standard stack, inside a request', run: insideRequest(through(standard())) },
    { name: 'standard stack, with a listener', run: through(standard(() => {})) },
  ],
  bars: [{ case: 'six real layers, two timeouts', metric: 'cpu', max: 4 }],
});

/** A gate that refuses, asked directly: it gives its refusal back and throws nothing. */
function asked(g: Gate): Case['run'] {
  const call = newCall(request);
  let refusals = 0;
  return (n) => {
    refusals = 0;
    for (let i = 0; i < n; i++) if (isRefusal(g.enter(call))) refusals++;
    if (refusals !== n) throw new Error(`${g.name}: ${n - refusals} of ${n} were let in`);
  };
}

function emptyBucket(): Gate {
  const bucket = tokenBucket(empty);
  bucket.enter(newCall(request));
  return bucket;
}

function openBreaker(): Gate {
  const open = breaker({ minCalls: 1, openMs: HOUR, maxOpenMs: HOUR });
  const leave = open.enter(newCall(request));
  if (!isRefusal(leave)) leave(new Outcome(null, error, 1));
  return open;
}

const drained = keyedBuckets(empty);
drained.take('ada', 0);
const spent = retryBudget({ ratio: 0, minPerSecond: 0 });
const budget = retryBudget();
const known = keyedBuckets(wide);
const flooded = keyedBuckets(empty);
const callers = Array.from({ length: 16_384 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
/** What is put here was really made: the compiler leaves out what nobody could ever see. */
let kept: unknown;

const refusals = await measure({
  name: 'Refusals, and what is asked without a layer',
  perRound: 30_000,
  rounds,
  cases: [
    { name: 'tokenBucket: a refusal', run: asked(emptyBucket()) },
    { name: 'breaker: a refusal', run: asked(openBreaker()) },
    {
      name: 'keyedBuckets: take, let in',
      run(n) {
        const now = systemClock.now();
        for (let i = 0; i < n; i++) kept = known.take(callers[i & 4_095] as string, now).allowed;
      },
    },
    {
      name: 'keyedBuckets: take, a refusal',
      run(n) {
        for (let i = 0; i < n; i++) kept = drained.take('ada', 1).allowed;
      },
    },
    {
      name: 'keyedBuckets: take, more callers than there is room for',
      run(n) {
        for (let i = 0; i < n; i++) kept = flooded.take(callers[i & 16_383] as string, 1).allowed;
      },
    },
    {
      name: 'retryBudget: a request',
      run(n) {
        const now = systemClock.now();
        for (let i = 0; i < n; i++) budget.deposit(now);
      },
    },
    {
      name: 'retryBudget: a refusal',
      run(n) {
        const now = systemClock.now();
        for (let i = 0; i < n; i++) kept = spent.tryWithdraw(now);
      },
    },
  ],
  bars: [
    { case: 'tokenBucket: a refusal', metric: 'cpu', max: 1 },
    { case: 'breaker: a refusal', metric: 'cpu', max: 1 },
    { case: 'keyedBuckets: take, let in', metric: 'cpu', max: 1 },
    { case: 'keyedBuckets: take, a refusal', metric: 'cpu', max: 1 },
    { case: 'keyedBuckets: take, more callers than there is room for', metric: 'cpu', max: 1 },
    { case: 'retryBudget: a refusal', metric: 'cpu', max: 1 },
  ],
});

const failures = await measure({
  name: 'Calls that are refused or fail, per call, as their caller sees it',
  rounds,
  baseline: 'nothing but a rejection',
  cases: [
    { name: 'nothing but a rejection', run: refused([], broken) },
    { name: 'deadline: refuses a call whose time is up', run: refused([deadline()], good, late) },
    { name: 'tokenBucket: refuses a call', run: refused([gate(emptyBucket())]) },
    { name: 'breaker: refuses a call', run: refused([gate(openBreaker())]) },
    { name: 'balance: nobody to send to', run: refused([balance({ cluster: clusterOf(nobody) })]) },
    { name: 'retry: refused by its budget', run: through([retry({ budget: spent })], failing) },
    { name: 'fallback: stands in', run: through([fallback({ to: { body: '[]' } })], broken) },
  ],
});

if (!short) save('layers', [...well, ...together, ...refusals, ...failures]);
// The last value is used, so none before it can be left out.
process.exit(kept === undefined ? 1 : undefined);
