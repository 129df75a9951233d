// Would catch: a trace that begins unasked, an invalid traceparent that goes out, two traceparent headers, attempts of one call in different traces or with the same span id, and a
// header of the caller lost or sent twice.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  type Call,
  compose,
  createCall,
  createReply,
  type Handler,
  type HeaderPairs,
  headerOf,
  Scope,
} from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noAmbient, runWith } from './ambient.js';
import type { NewTraces } from './call-trace.js';
import { type PropagateOptions, propagate } from './propagate.js';
import { type TraceOptions, trace } from './trace.js';
import { parseTraceparent } from './trace-context.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';
const traceparent = `00-${traceId}-${parentId}-01`;
const ambient = {
  ...noAmbient,
  trace: { traceId: 'a'.repeat(32), parentId: 'b'.repeat(16), flags: 3, state: 'v=1' },
  baggage: 'k=v',
};
const unsampled = { newTraces: 'unsampled' } as const;

/** Sends a call through both layers, `attempts` times below the first; gives what arrived. */
async function send(
  options: { headers?: HeaderPairs; scope?: Scope; clock?: VirtualClock; attempts?: number } = {},
  attempt: Partial<PropagateOptions> = {},
  whole: Partial<TraceOptions> | null = {},
): Promise<Call[]> {
  const clock = options.clock ?? new VirtualClock();
  const arrived: Call[] = [];
  const end: Handler = async (call) => {
    arrived.push(call);
    return createReply();
  };
  const again = async (call: Call, next: Handler) => {
    for (let n = 1; n < (options.attempts ?? 1); n++) await next(call.with({ attempt: n }));
    return next(call.with({ attempt: options.attempts ?? 1 }));
  };
  const layers = whole === null ? [again, propagate(attempt)] : [trace(whole), again, propagate(attempt)];
  const { headers = [], scope } = options;
  await compose(
    layers,
    end,
  )(createCall({ service: 's', runtime: { clock }, headers, scope: scope ?? new Scope(clock) }));
  expect(clock.pending).toBe(scope?.armed ? 1 : 0);
  return arrived;
}

function all(call: Call | undefined, name: string): string[] {
  const headers = call?.headers ?? [];
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1] === name);
}

/** The one traceparent of a call. */
function sent(call: Call | undefined) {
  const values = all(call, 'traceparent');
  expect(values).toHaveLength(1);
  const context = parseTraceparent(values[0] as string);
  expect(context).not.toBeNull();
  return context;
}

async function instrumented<T>(work: () => Promise<T>): Promise<T> {
  const listener = () => {};
  subscribe('undici:request:create', listener);
  try {
    return await work();
  } finally {
    unsubscribe('undici:request:create', listener);
  }
}

describe('trace and propagate', () => {
  it('send no trace where none is going on, unless they are told to', async () => {
    expect((await send())[0]?.headers).toEqual([]);
    expect((await send({ headers: ['x', 'y'], attempts: 2 }, {}, null)).map((call) => call.headers)).toEqual([
      ['x', 'y'],
      ['x', 'y', 'x-envoy-attempt-count', '2'],
    ]);
  });

  it('begin a trace: one for the call, a span id for each attempt', async () => {
    const calls = await send({ attempts: 3 }, {}, unsampled);
    const contexts = calls.map(sent);
    expect(new Set(contexts.map((c) => c?.traceId)).size).toBe(1);
    expect(new Set(contexts.map((c) => c?.parentId)).size).toBe(3);
    expect(contexts.map((c) => c?.flags)).toEqual([2, 2, 2]);
    expect(all(calls[0], 'tracestate')).toEqual([]);
  });

  it('begin another trace for another call', async () => {
    const clock = new VirtualClock();
    const [a] = await send({ clock }, {}, unsampled);
    const [b] = await send({ clock }, {}, unsampled);
    expect(sent(a)?.traceId).not.toBe(sent(b)?.traceId);
  });

  it('begin a trace as they are told to, or not at all', async () => {
    expect(sent((await send({}, {}, { newTraces: 'sampled' }))[0])?.flags).toBe(3);
    expect((await send({}, {}, { newTraces: 'none' }))[0]?.headers).toEqual([]);
  });

  it('continue the ambient trace, with its state and baggage', async () => {
    const calls = await runWith(ambient, () => send({ attempts: 2, headers: ['x', 'y'] }));
    for (const call of calls) {
      expect(sent(call)).toMatchObject({ traceId: 'a'.repeat(32), flags: 3 });
      expect(sent(call)?.parentId).not.toBe('b'.repeat(16));
      expect(all(call, 'tracestate')).toEqual(['v=1']);
      expect(all(call, 'baggage')).toEqual(['k=v']);
      expect(headerOf(call.headers, 'x')).toBe('y');
    }
  });

  it('continue the trace that the caller set himself rather than the ambient one', async () => {
    const headers = ['traceparent', traceparent, 'x', 'y', 'tracestate', 'own=1', 'tracestate', 'more=2'];
    const [call] = await runWith(ambient, () => send({ headers }));
    expect(sent(call)).toMatchObject({ traceId, flags: 1 });
    expect(sent(call)?.parentId).not.toBe(parentId);
    expect(all(call, 'tracestate')).toEqual(['own=1,more=2']);
  });

  describe.each([
    ['invalid', ['traceparent', 'nonsense', 'tracestate', 'own=1']],
    ['empty', ['traceparent', '']],
    ['there twice', ['traceparent', traceparent, 'traceparent', traceparent]],
  ])('with a traceparent of the caller that is %s', (_, headers) => {
    it.each<[NewTraces | undefined, number]>([
      [undefined, 2],
      ['none', 2],
      ['unsampled', 2],
      ['sampled', 3],
    ])('restart the trace, for all attempts (newTraces: %s)', async (newTraces, flags) => {
      const calls = await send({ headers, attempts: 2 }, {}, { newTraces });
      expect(calls.map((call) => sent(call)?.flags)).toEqual([flags, flags]);
      expect(sent(calls[0])?.traceId).toBe(sent(calls[1])?.traceId);
      expect(sent(calls[0])?.traceId).not.toBe(traceId);
      expect(calls.map((call) => all(call, 'tracestate'))).toEqual([[], []]);
      sent((await send({ headers }, { newTraces }, null))[0]);
    });

    it('go on with the ambient trace, if there is one', async () => {
      const [call] = await runWith(ambient, () => send({ headers }));
      expect(sent(call)?.traceId).toBe('a'.repeat(32));
      expect(all(call, 'tracestate')).toEqual(['v=1']);
    });
  });

  it('drop a tracestate of the caller that has no traceparent beside it', async () => {
    expect((await send({ headers: ['tracestate', 'own=1'] }))[0]?.headers).toEqual([]);
    const [call] = await send({ headers: ['tracestate', 'own=1'] }, {}, unsampled);
    sent(call);
    expect(all(call, 'tracestate')).toEqual([]);
  });

  it('leave baggage that the caller set as it is', async () => {
    const [call] = await runWith(ambient, () => send({ headers: ['baggage', 'mine=1'] }));
    expect(all(call, 'baggage')).toEqual(['mine=1']);
  });

  it('read the ambient context at the beginning of the call, not of an attempt', async () => {
    const clock = new VirtualClock();
    let arrived: Call | undefined;
    const end: Handler = async (call) => {
      arrived = call;
      return createReply();
    };
    const elsewhere = (call: Call, next: Handler) => runWith(noAmbient, next, call);
    const stack = compose([trace(), elsewhere, propagate()], end);
    await runWith(ambient, () => stack(createCall({ service: 's', runtime: { clock } })));
    expect(sent(arrived)?.traceId).toBe('a'.repeat(32));
    expect(all(arrived, 'baggage')).toEqual(['k=v']);
  });

  it('work without the call-level layer, each attempt on its own', async () => {
    const calls = await send({ attempts: 2 }, unsampled, null);
    expect(sent(calls[0])?.traceId).not.toBe(sent(calls[1])?.traceId);
  });

  it('send the same ids for the same seed', async () => {
    const run = async () => (await send({ clock: new VirtualClock({ seed: 5 }) }, {}, unsampled))[0];
    expect(sent(await run())).toEqual(sent(await run()));
  });

  it('do not touch anything when off', async () => {
    const headers = ['traceparent', 'nonsense', 'x', 'y'];
    const off = { tracing: 'off' as const };
    const [call] = await runWith(ambient, () => send({ headers }, { ...off, deadlineHeaders: [] }, off));
    expect(call?.headers).toBe(headers);
    const [withDeadline] = await runWith(ambient, () => send({ headers }, off, off));
    expect(withDeadline?.headers).toEqual(headers);
  });

  it('do not change the headers of the call itself', async () => {
    const headers = Object.freeze(['x', 'y']);
    await runWith(ambient, () => send({ headers }));
    expect(headers).toEqual(['x', 'y']);
  });

  it('leave exactly one traceparent whatever headers there are, or none if there was none', async () => {
    const name = fc.constantFrom('traceparent', 'tracestate', 'baggage', 'x-request-timeout-ms', 'accept');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, fc.string())), async (pairs) => {
        const [call] = await send({ headers: pairs.flat() });
        if (pairs.some(([n]) => n === 'traceparent')) sent(call);
        else expect(all(call, 'traceparent')).toEqual([]);
        sent((await send({ headers: pairs.flat() }, {}, unsampled))[0]);
        expect(all(call, 'accept')).toEqual(pairs.filter(([n]) => n === 'accept').map(([, v]) => v));
      }),
    );
  });

  it('let an error pass', async () => {
    const error = new Error('no');
    const stack = compose([trace(), propagate()], () => Promise.reject(error));
    await expect(stack(createCall({ service: 's', runtime: { clock: new VirtualClock() } }))).rejects.toBe(error);
  });
});

describe('while somebody else instruments undici', () => {
  it('auto leaves the trace to the instrumentation, and the caller his header', async () => {
    const [call] = await instrumented(() => runWith(ambient, () => send({ headers: ['traceparent', traceparent] })));
    expect(all(call, 'traceparent')).toEqual([traceparent]);
    const [plain] = await instrumented(() => runWith(ambient, () => send()));
    expect(plain?.headers).toEqual(['baggage', 'k=v']);
  });

  it('auto takes out a header of the caller that is invalid: that of the instrumentation would be the second', async () => {
    const headers = ['traceparent', 'nonsense', 'x', 'y', 'tracestate', 'own=1'];
    const [call] = await instrumented(() => send({ headers }));
    expect(call?.headers).toEqual(['x', 'y']);
  });

  it('own sends ours all the same', async () => {
    const own = { tracing: 'own' as const };
    const [call] = await instrumented(() => runWith(ambient, () => send({}, own, own)));
    expect(sent(call)?.traceId).toBe('a'.repeat(32));
  });

  it('auto sends ours again once nobody does any more', async () => {
    await instrumented(() => send());
    sent((await runWith(ambient, () => send()))[0]);
  });
});

describe('x-envoy-attempt-count', () => {
  it('counts from 1 when asked for', async () => {
    const calls = await send({ attempts: 2, headers: ['x-envoy-attempt-count', '9'] }, { attemptCount: true });
    expect(calls.map((call) => all(call, 'x-envoy-attempt-count'))).toEqual([['1'], ['2']]);
    expect(all((await send())[0], 'x-envoy-attempt-count')).toEqual([]);
  });

  const counts = (calls: Call[]): string[][] => calls.map((call) => all(call, 'x-envoy-attempt-count'));

  it.each(['auto', 'off'] as const)('is sent with repetitions in any case (tracing %s)', async (tracing) => {
    const bare = { tracing, deadlineHeaders: [] };
    expect(counts(await send({ attempts: 3 }, bare, { tracing }))).toEqual([[], ['2'], ['3']]);
    const given = await send({ attempts: 2, headers: ['x-envoy-attempt-count', '9'] }, bare, { tracing });
    expect(counts(given)).toEqual([['9'], ['2']]);
  });

  it('hands on that the request is a repetition for which the call is made', async () => {
    const inbound = new Scope(new VirtualClock());
    inbound.inheritedAttempt = 2;
    for (const tracing of ['auto', 'off'] as const) {
      const calls = await send({ attempts: 3, scope: inbound.child() }, { tracing, deadlineHeaders: [] }, { tracing });
      expect(counts(calls)).toEqual([['2'], ['2'], ['3']]);
    }
  });
});

describe('options', () => {
  it('are checked, all at once', () => {
    const wrong = { tracing: 'on', deadlineHeaders: ['x-timeout'], attemptCount: 1, urlquery: true };
    const report = () => propagate(wrong as never);
    for (const name of ['tracing', 'deadlineHeaders', 'attemptCount', 'urlquery'])
      expect(report).toThrow(`propagate.${name}`);
    expect(() => trace({ api: 1 } as never)).toThrow(/trace\.api/);
  });
});
