// Would catch: a deadline told that is later than the real one, one that is not a whole number, one told where there is none,
// and an attempt that is sent although its time is up.
import { type Call, createCall, createReply, type HeaderPairs, Scope } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDeadline } from './deadline-header.js';
import { type PropagateOptions, propagate } from './propagate.js';

/** Sends one attempt; gives what arrived. */
async function send(
  { headers = [], clock = new VirtualClock(), scope }: { headers?: HeaderPairs; clock?: VirtualClock; scope?: Scope },
  options: Partial<PropagateOptions> = {},
): Promise<Call> {
  const arrived: Call[] = [];
  await propagate(options)(
    createCall({ service: 's', runtime: { clock }, headers, ...(scope && { scope }) }),
    async (call) => {
      arrived.push(call);
      return createReply();
    },
  );
  return arrived[0] as Call;
}

function all({ headers }: Call, name: string): string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1] === name);
}

describe('deadline headers', () => {
  const scoped = (ms: number) => {
    const clock = new VirtualClock({ startMs: 1000 });
    const scope = new Scope(clock);
    scope.expireAt(1000 + ms, 'call', ms);
    return { clock, scope };
  };

  it('tell what is left, rounded down', async () => {
    const { clock, scope } = scoped(2000);
    await clock.advance(499.5);
    const call = await send({ clock, scope });
    expect(all(call, 'x-request-timeout-ms')).toEqual(['1500']);
  });

  it('are not sent without a deadline, and then leave the caller his own', async () => {
    const call = await send({ headers: ['x-request-timeout-ms', '7'] });
    expect(all(call, 'x-request-timeout-ms')).toEqual(['7']);
    expect(all(await send({}), 'x-request-timeout-ms')).toEqual([]);
  });

  it('replace what the caller set, which the scope knows better', async () => {
    const call = await send({ ...scoped(100), headers: ['x-request-timeout-ms', '99999'] });
    expect(all(call, 'x-request-timeout-ms')).toEqual(['100']);
  });

  it('come in other dialects when asked for, or not at all', async () => {
    const deadlineHeaders = ['grpc-timeout', 'x-envoy-expected-rq-timeout-ms'] as const;
    const call = await send(scoped(250), { deadlineHeaders });
    expect(all(call, 'grpc-timeout')).toEqual(['250m']);
    expect(all(call, 'x-envoy-expected-rq-timeout-ms')).toEqual(['250']);
    expect(all(call, 'x-request-timeout-ms')).toEqual([]);
    expect((await send(scoped(250), { deadlineHeaders: [] })).headers).toEqual([]);
  });

  it('are sent although tracing is off', async () => {
    const call = await send(scoped(250), { tracing: 'off' });
    expect(call.headers.slice(-2)).toEqual(['x-request-timeout-ms', '250']);
  });

  it('refuse an attempt whose time is up, though no timer could fire yet', async () => {
    const { clock, scope } = scoped(50);
    let now = 1049.2;
    clock.now = () => now;
    expect(all(await send({ clock, scope }), 'x-request-timeout-ms')).toEqual(['1']);
    now = 1050;
    let reached = false;
    const layer = propagate();
    const call = createCall({ service: 's', runtime: { clock }, scope });
    const going = layer(call, async () => {
      reached = true;
      return createReply();
    });
    await expect(going).rejects.toMatchObject({ code: 'ERR_TIMEOUT', of: 'call', ms: 50 });
    expect(reached).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it('are whole numbers of at least 1 that never promise more than there is', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e13, noNaN: true }), (ms) => {
        const own = formatDeadline('x-request-timeout-ms', ms);
        expect(own).toMatch(/^[1-9]\d*$/);
        expect(Number(own)).toBeLessThanOrEqual(Math.max(1, ms));
        const grpc = formatDeadline('grpc-timeout', ms);
        expect(grpc).toMatch(/^[1-9]\d{0,7}[mS]$/);
        expect(Number.parseInt(grpc, 10) * (grpc.endsWith('S') ? 1000 : 1)).toBeLessThanOrEqual(Math.max(1, ms));
      }),
    );
  });
});
