// Would catch: a share that is not the rule's, a service that is asked for more than twice what it takes, calls refused
// long after it has recovered or told that it admits everything, refusals with too little to go by, an unbounded memory.
import { ConfigError, gate, isRefusal, type Leave, nothingToReport, Outcome, type Verdict } from '@fairlead/core';
import { callTo, recordEvents, reply, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { admissionHeader, type ThrottleOptions, throttle } from './throttle.js';

function rig(options: Partial<ThrottleOptions> = {}) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const events = recordEvents(runtime) as readonly { type: string }[];
  let verdict: Verdict = 'success';
  const subject = throttle({ ...options, judge: () => verdict });
  const tell = (leave: Leave, how: Verdict): void => {
    verdict = how;
    leave(new Outcome(null, null, 1));
  };
  return {
    tell,
    clock,
    runtime,
    events,
    subject,
    /** Gives how many were let in. */
    pass(how: Verdict, times: number): number {
      let admitted = 0;
      for (let i = 0; i < times; i++) {
        const entry = subject.enter(callTo('s', { runtime }));
        if (isRefusal(entry)) continue;
        admitted++;
        tell(entry, how);
      }
      return admitted;
    },
    share: () => subject.refusing(clock.now()),
  };
}

describe('throttle', () => {
  it.each([
    [2, 50, 50, 0],
    [2, 40, 60, 20 / 101],
    [1.5, 60, 40, 10 / 101],
    [2, 0, 100, 0.95],
  ])('with k %f, %i accepts and %i refusals make a share of %f', (k, accepts, refusals, share) => {
    const { pass, share: got, subject, runtime } = rig({ k, minCalls: 100 });
    pass('success', accepts);
    pass('overload', refusals);
    expect(got()).toBeCloseTo(share, 9);
    expect(subject.enter(callTo('s', { runtime }))).toBeDefined();
  });

  it('refuses nothing before minCalls, nor for failures or what says nothing', () => {
    const { pass, share } = rig();
    expect(pass('overload', 19)).toBe(19);
    expect(share()).toBe(0);
    const failing = rig();
    expect(failing.pass('failure', 500)).toBe(500);
    const silent = rig();
    expect(silent.pass('ignored', 500)).toBe(500);
    expect(silent.share()).toBe(0);
  });

  it('refuses with an error of its own, and tells so', () => {
    const { pass, subject, runtime, events } = rig({ maxRatio: 0.99 });
    pass('overload', 2_000);
    const entry = Array.from({ length: 100 }, () => subject.enter(callTo('s', { runtime }))).find(isRefusal);
    expect(entry).toMatchObject({ by: 'throttle', service: 's', sent: 'no', retryAfterMs: null });
    expect(events[0]).toEqual({ type: 'limit.refused', service: 's', by: 'throttle', key: null, retryAfterMs: null });
  });

  it('asks an overloaded service for about twice what it takes, at ten times the demand', async () => {
    const { tell, clock, runtime, subject } = rig();
    let [asked, accepted] = [0, 0];
    for (let ms = 0; ms < 40_000; ms += 10) {
      // Ten calls; the service takes one.
      let room = 1;
      for (let i = 0; i < 10; i++) {
        const entry = subject.enter(callTo('s', { runtime }));
        if (isRefusal(entry)) continue;
        if (ms >= 20_000) asked++;
        const accepts = room-- > 0;
        if (ms >= 20_000 && accepts) accepted++;
        tell(entry, accepts ? 'success' : 'overload');
      }
      await clock.advance(10);
    }
    expect(accepted).toBeGreaterThan(1_500);
    expect(asked / accepted).toBeLessThan(2.3);
    expect(asked / accepted).toBeGreaterThan(1.5);
  });

  it('recovers after minCalls accepted in a row, and not in windows', () => {
    const { pass, share } = rig();
    pass('overload', 1_000);
    expect(share()).toBe(0.95);
    pass('success', 5_000);
    expect(share()).toBe(0);
  });

  it('forgets what has left the window', async () => {
    const { pass, share, clock } = rig();
    pass('overload', 1_000);
    await clock.advance(11_000);
    expect(pass('overload', 1)).toBeLessThanOrEqual(1);
    expect(share()).toBe(0);
    await clock.advance(1e9);
    pass('overload', 30);
    expect(share()).toBeGreaterThan(0.9);
  });

  it('believes a service that tells how much it admits, for a second', async () => {
    const clock = new VirtualClock();
    const subject = throttle({ maxRatio: 0.9 });
    const layer = gate(subject);
    let headers: Record<string, string> = { 'retry-after': '1' };
    const backend = scripted(() => reply(429, { headers }));
    const send = () => layer(callTo('s', { clock }), backend).catch(() => {});
    for (let i = 0; i < 100; i++) await send();
    expect(subject.refusing(clock.now())).toBe(0.9);
    for (const wrong of ['2', '-1', 'x', '', '.5', '1.5', '0.1234567', '5e-1', '0.5, 0.5', ' 0.5']) {
      headers = { [admissionHeader]: wrong };
      for (let i = 0; i < 50; i++) await send();
      expect(subject.refusing(clock.now())).toBe(0.9);
    }
    for (const [text, share] of [
      ['0.75', 0.25],
      ['0.750', 0.25],
      ['0.900000', 0.1],
      ['1.0', 0],
      ['1', 0],
      ['0.75', 0.25],
    ] as const) {
      headers = { [admissionHeader]: text };
      for (let i = 0; i < 50; i++) await send();
      expect(subject.refusing(clock.now())).toBeCloseTo(share, 9);
    }
    await clock.advance(1_001);
    expect(subject.refusing(clock.now())).toBeGreaterThan(0.5);
  });

  it('in shadow refuses nothing; off is not there', () => {
    const { pass, events } = rig({ mode: 'shadow' });
    expect(pass('overload', 500)).toBe(500);
    expect(new Set(events.map((event) => event.type))).toEqual(new Set(['policy.shadowed']));
    expect(throttle({ mode: 'off' }).enter(callTo())).toBe(nothingToReport);
  });

  it('lists everything that is wrong with its options', () => {
    expect(() => throttle({ k: 1, windowMs: 1, maxRatio: 1, minCalls: 0 })).toThrow('4 problems');
    expect(() => throttle({ window: 1 } as never)).toThrow(ConfigError);
  });
});
