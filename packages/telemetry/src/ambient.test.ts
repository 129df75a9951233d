// Would catch: a request that inherits from another, an ambient context lost over an await, and two copies of the package
// that do not see each other's.
import { createCall, createReply, Scope } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it, vi } from 'vitest';
import { currentAmbient, detached, noAmbient, runWith } from './ambient.js';
import type { NewTraces } from './call-trace.js';
import { ambientReader, inboundAmbient, inboundTrace } from './inbound.js';

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const inbound = (headers: string[], clock = new VirtualClock()) =>
  createCall({ service: 'self', runtime: { clock }, headers });

describe('runWith', () => {
  it('holds over awaits and ends with the work', async () => {
    const ambient = { ...noAmbient, baggage: 'a=1' };
    expect(currentAmbient()).toBe(noAmbient);
    const seen = await runWith(
      ambient,
      async (x: number) => {
        await Promise.resolve();
        return [x, currentAmbient()];
      },
      3,
    );
    expect(seen).toEqual([3, ambient]);
    expect(currentAmbient()).toBe(noAmbient);
  });

  it('keeps requests apart that run at the same time', async () => {
    const seen = await Promise.all(
      ['a', 'b', 'c'].map((baggage) =>
        runWith({ ...noAmbient, baggage }, async () => {
          await Promise.resolve();
          return currentAmbient().baggage;
        }),
      ),
    );
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  it('is shared with another copy of the package', async () => {
    vi.resetModules();
    const copy = await import('./ambient.js');
    expect(copy.currentAmbient).not.toBe(currentAmbient);
    const ambient = { ...noAmbient, baggage: 'a=1' };
    expect(copy.runWith(ambient, currentAmbient)).toBe(ambient);
  });
});

describe('detached', () => {
  it('leaves the deadline behind and keeps trace and baggage, over awaits too', async () => {
    const ambient = inboundAmbient(inbound(['traceparent', traceparent, 'baggage', 'k=v']));
    const [within, outside] = await runWith(ambient, async () => {
      const work = detached(async (x: number) => {
        await Promise.resolve();
        return [x, currentAmbient()] as const;
      }, 3);
      return [await work, currentAmbient()];
    });
    const { trace, baggage } = ambient;
    expect([trace?.flags, baggage]).toEqual([1, 'k=v']);
    expect(within).toEqual([3, { scope: null, trace, baggage }]);
    expect(outside).toBe(ambient);
  });

  it('is nothing outside of a request', () => {
    expect(detached(currentAmbient)).toBe(noAmbient);
    expect(() => detached(() => void JSON.parse('{'))).toThrow(SyntaxError);
  });
});

describe('inboundAmbient', () => {
  it('takes scope, trace and baggage from the call', () => {
    const call = inbound(['traceparent', traceparent, 'tracestate', 'a=1', 'baggage', 'k=v']);
    const { scope, trace, baggage } = inboundAmbient(call);
    expect({ scope, trace, baggage }).toEqual({
      scope: call.scope,
      trace: { traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331', flags: 1, state: 'a=1' },
      baggage: 'k=v',
    });
  });

  it('begins one trace for all that ask', () => {
    const ambient = ambientReader({ newTraces: 'unsampled' })(inbound([]));
    expect(ambient.trace).not.toBeNull();
    expect(ambient.trace).toBe(ambient.trace);
  });

  it.each([[[]], [['tracestate', 'a=1']]])('begins no trace unless it is told to: %j', (headers) => {
    expect(inboundAmbient(inbound(headers)).trace).toBeNull();
    expect(ambientReader({ newTraces: 'none' })(inbound(headers)).trace).toBeNull();
    const { trace } = ambientReader({ newTraces: 'unsampled' })(inbound(headers));
    expect(trace).toMatchObject({ flags: 2, state: null });
    expect(trace?.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(trace?.parentId).toMatch(/^[0-9a-f]{16}$/);
    expect(ambientReader({ newTraces: 'sampled' })(inbound(headers)).trace?.flags).toBe(3);
  });

  it.each<[NewTraces | undefined, number]>([
    [undefined, 2],
    ['none', 2],
    ['unsampled', 2],
    ['sampled', 3],
  ])('begins a trace in the place of one that is invalid (newTraces: %s)', (newTraces, flags) => {
    for (const bad of ['nonsense', '']) {
      const { trace } = ambientReader({ newTraces })(inbound(['traceparent', bad, 'tracestate', 'a=1']));
      expect(trace).toMatchObject({ flags, state: null });
    }
  });

  it('reads nothing but the scope when it is off', () => {
    const call = inbound(['traceparent', traceparent, 'baggage', 'k=v']);
    expect(ambientReader({ tracing: 'off' })(call)).toEqual({ scope: call.scope, trace: null, baggage: null });
  });

  it('refuses options that are wrong', () => {
    expect(() => ambientReader({ tracing: 'on' as never, newTrace: 'none' } as never)).toThrow(
      /did you mean newTraces/,
    );
  });
});

describe('inboundTrace', () => {
  it('runs the handler with what the request brought, and hands its reply up', async () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    const call = inbound(['traceparent', traceparent], clock).with({ scope });
    const reply = createReply({ status: 204 });
    const handler = vi.fn(async () => {
      await Promise.resolve();
      expect(currentAmbient()).toMatchObject({ scope, trace: { parentId: 'b7ad6b7169203331' } });
      return reply;
    });
    expect(await inboundTrace()(call, handler)).toBe(reply);
    expect(handler).toHaveBeenCalledWith(call);
    expect(currentAmbient()).toBe(noAmbient);
    expect(clock.pending).toBe(0);
  });

  it('hands errors up', async () => {
    const error = new Error('no');
    await expect(inboundTrace()(inbound([]), () => Promise.reject(error))).rejects.toBe(error);
  });
});
