/**
 * Would catch: a gate that is left twice, never, or at the wrong moment. Each of these makes a breaker blind or a
 * concurrency limit shrink until nothing gets through.
 */
import { callTo, hang, refuse, reply, type Script, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { compose } from './compose.js';
import { rejected, TransportError } from './errors.js';
import { type Gate, gate, isRefusal, nothingToReport } from './gate.js';
import type { Handler, Receiver } from './middleware.js';
import type { Outcome } from './outcome.js';
import { readBytes } from './reply.js';

function setUp(script: Script | Handler, until?: 'head' | 'end') {
  const clock = new VirtualClock();
  const outcomes: Outcome[] = [];
  const probe: Gate = { name: 'probe', ...(until && { until }), enter: () => (outcome) => outcomes.push(outcome) };
  const end = typeof script === 'function' ? (script as Handler) : scripted(script);
  const call = callTo('s', { clock });
  return { clock, outcomes, call, handler: compose([gate(probe)], end) };
}

describe('gate', () => {
  it('leaves at the head, once, with the time until then', async () => {
    const { clock, outcomes, call, handler } = setUp(reply(503, { afterMs: 30, body: 'a', betweenMs: 50 }));
    const answer = await clock.run(handler(call));
    expect(outcomes).toMatchObject([{ reply: answer, error: null, ms: 30 }]);
    await clock.run(readBytes(answer));
    expect(outcomes.length).toBe(1);
  });

  it('leaves at the end if it counts what is going on', async () => {
    const { clock, outcomes, call, handler } = setUp(reply(200, { afterMs: 30, body: 'a', betweenMs: 50 }), 'end');
    const answer = await clock.run(handler(call));
    await clock.advance(1);
    expect(outcomes).toEqual([]);
    await clock.run(readBytes(answer));
    expect(outcomes).toMatchObject([{ reply: answer, error: null, ms: 80 }]);
  });

  it.each([
    ['is cut', (body: { cancel(): void }) => void body, 'ERR_TRANSPORT'],
    ['is not wanted', (body: { cancel(): void }) => body.cancel(), 'ERR_CANCELED'],
  ])('leaves once when the body %s', async (_, act, code) => {
    const { clock, outcomes, call, handler } = setUp(reply(200, { body: 'ab', betweenMs: 50, cutAfter: 1 }), 'end');
    const answer = await handler(call);
    const reading = readBytes(answer);
    act(answer.body);
    await expect(clock.run(reading)).rejects.toMatchObject({ code });
    expect(outcomes).toMatchObject([{ reply: answer, error: { code } }]);
  });

  it.each(['head', 'end'] as const)('leaves once with the error of a call that fails (%s)', async (until) => {
    const { clock, outcomes, call, handler } = setUp(refuse({ afterMs: 5 }), until);
    await expect(clock.run(handler(call))).rejects.toThrow(TransportError);
    expect(outcomes).toMatchObject([{ reply: null, error: { phase: 'connect' }, ms: 5 }]);
  });

  it('leaves once when the call is canceled', async () => {
    const { outcomes, call, handler } = setUp(hang());
    const pending = handler(call);
    call.scope.cancel();
    await expect(pending).rejects.toMatchObject({ code: 'ERR_CANCELED' });
    expect(outcomes).toMatchObject([{ reply: null, error: { code: 'ERR_CANCELED' } }]);
  });

  it('leaves when a layer below throws although it must not, and turns that into a rejection', async () => {
    const broken: Handler = () => {
      throw new Error('broken');
    };
    const { outcomes, call, handler } = setUp(broken);
    await expect(handler(call)).rejects.toThrow('broken');
    expect(outcomes).toMatchObject([{ reply: null, error: { message: 'broken' } }]);
    await expect(compose([gate({ name: 'g', enter: () => nothingToReport })], broken)(call)).rejects.toThrow('broken');
  });

  it('refuses without throwing and without going on', async () => {
    const refusal = rejected('limit', 's', 'too much', 250);
    const backend = scripted(reply());
    const pending = compose([gate({ name: 'g', enter: () => refusal })], backend)(callTo());
    await expect(pending).rejects.toBe(refusal);
    expect([backend.calls.length, isRefusal(refusal), isRefusal(nothingToReport)]).toEqual([0, true, false]);
  });

  it('adds nothing to a call whose gate has nothing to learn', () => {
    const receiver: Receiver = { onReply() {}, onError() {} };
    let below: Receiver | null = null;
    gate({ name: 'g', enter: () => nothingToReport }).relay?.(callTo(), (_, told) => void (below = told), receiver);
    expect(below).toBe(receiver);
  });

  it('turns what a gate throws while it leaves into a rejection', async () => {
    const wrong = (): never => {
      throw new Error('judged wrongly');
    };
    for (const script of [reply(), refuse()]) {
      const stack = compose([gate({ name: 'g', enter: () => wrong })], scripted(script));
      await expect(stack(callTo())).rejects.toThrow('judged wrongly');
    }
  });

  it('has the name of its gate', () => {
    expect(gate({ name: 'tokenBucket', enter: () => nothingToReport }).name).toBe('tokenBucket');
  });
});
