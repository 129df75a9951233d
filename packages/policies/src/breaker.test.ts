// Would catch: a breaker that opens too early, too late or never; probes that are too many, hang or close it wrongly; late
// answers of an earlier time that count; failures of an outage that are held against a service that has recovered; opossum's
// real timers deciding anything; memory or time that grows with the traffic.
import { CanceledError, ConfigError, gate, isRefusal, type Leave, Outcome, type Verdict } from '@fairlead/core';
import {
  callTo,
  checkLeaks,
  hang,
  recordEvents,
  refuse,
  reply,
  reset,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import { describe, expect, it, vi } from 'vitest';
import { type BreakerOptions, breaker } from './breaker.js';

const outcome = new Outcome(null, null, 1);

/** A breaker that is told verdicts, at times of its own. */
function rig(options: Partial<BreakerOptions> = {}) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const events = recordEvents(runtime);
  let verdict: Verdict = 'success';
  const subject = breaker({ ...options, judge: () => verdict });
  const enter = () => subject.enter(callTo('payments', { runtime }));
  const tell = (leave: Leave, how: Verdict) => {
    verdict = how;
    leave(outcome);
  };
  return {
    clock,
    events,
    subject,
    enter,
    tell,
    /** Null if refused. */
    admit: (): Leave | null => {
      const entry = enter();
      return isRefusal(entry) ? null : entry;
    },
    pass(how: Verdict, times = 1): number {
      let admitted = 0;
      for (let i = 0; i < times; i++) {
        const entry = enter();
        if (isRefusal(entry)) continue;
        admitted++;
        tell(entry, how);
      }
      return admitted;
    },
    types: () => events.map((event) => event.type),
  };
}

describe('breaker', () => {
  it('opens at minCalls calls of which errorRatio failed, not before, and says when to come back', async () => {
    const { pass, subject, enter, events, clock } = rig();
    pass('success', 10);
    expect(pass('failure', 9)).toBe(9);
    expect(subject.snapshot()).toEqual({ state: 'closed', calls: 19, failures: 9, probeAt: null });
    pass('failure');
    expect(subject.snapshot()).toEqual({ state: 'open', calls: 20, failures: 10, probeAt: 5_000 });
    await clock.advance(1_000);
    expect(enter()).toMatchObject({ by: 'breaker', service: 'payments', retryAfterMs: 4_000, sent: 'no' });
    expect(events).toEqual([{ type: 'breaker.opened', service: 'payments', retryAfterMs: 5_000 }]);
  });

  it.each([
    [0.5, 10, 9, 'closed'],
    [0.5, 10, 10, 'open'],
    [1, 1, 30, 'closed'],
    [1, 0, 20, 'open'],
    [0, 29, 1, 'open'],
    [0.3, 14, 6, 'open'],
  ])('with a ratio of %f, %i successes and then %i failures leave it %s', (errorRatio, good, bad, state) => {
    const { pass, subject } = rig({ errorRatio });
    pass('success', good);
    pass('failure', bad);
    expect(subject.state).toBe(state);
  });

  it('forgets what is older than the window', async () => {
    const { pass, subject, clock } = rig({ windowMs: 1_000 });
    pass('failure', 19);
    await clock.advance(1_000);
    pass('failure', 19);
    expect(subject.state).toBe('closed');
    await clock.advance(899);
    pass('failure');
    expect(subject.state).toBe('open');
  });

  it('counts neither what is ignored nor overload', () => {
    const { pass, subject } = rig();
    pass('ignored', 50);
    pass('overload', 50);
    expect(subject.snapshot()).toMatchObject({ calls: 0, failures: 0 });
    pass('failure', 19);
    expect(subject.state).toBe('closed');
  });

  it('lets one probe in after openMs, and closes with an empty window if it succeeds', async () => {
    const { pass, admit, tell, subject, clock, types } = rig();
    pass('failure', 20);
    await clock.advance(4_999);
    expect(admit()).toBeNull();
    await clock.advance(1);
    const probe = admit() as Leave;
    expect(subject.state).toBe('halfOpen');
    expect(admit()).toBeNull();
    tell(probe, 'success');
    expect(subject.snapshot()).toEqual({ state: 'closed', calls: 1, failures: 0, probeAt: null });
    expect(pass('failure', 18)).toBe(18);
    expect(subject.state).toBe('closed');
    expect(types()).toEqual(['breaker.opened', 'breaker.halfOpened', 'breaker.closed']);
  });

  it('stays open twice as long after each failed probe, up to maxOpenMs, and begins anew after closing', async () => {
    const { pass, subject, clock } = rig({ openMs: 1_000, maxOpenMs: 5_000 });
    pass('failure', 20);
    const waits: number[] = [];
    for (let i = 0; i < 5; i++) {
      const wait = (subject.snapshot().probeAt as number) - clock.now();
      waits.push(wait);
      await clock.advance(wait);
      expect(pass('failure')).toBe(1);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
    await clock.advance(5_000);
    pass('success');
    pass('failure', 20);
    expect((subject.snapshot().probeAt as number) - clock.now()).toBe(1_000);
  });

  it('keeps to openMs if maxOpenMs is less', async () => {
    const { pass, subject, clock } = rig({ openMs: 1_000, maxOpenMs: 10 });
    pass('failure', 20);
    await clock.advance(1_000);
    pass('failure');
    expect(subject.snapshot().probeAt).toBe(2_000);
  });

  it('takes a probe that says nothing for no probe: the next call is one', async () => {
    const { pass, admit, tell, subject, clock } = rig();
    pass('failure', 20);
    await clock.advance(5_000);
    for (const how of ['ignored', 'overload'] as const) {
      tell(admit() as Leave, how);
      expect(subject.state).toBe('halfOpen');
    }
    expect(pass('success')).toBe(1);
    expect(subject.state).toBe('closed');
  });

  it('takes a probe that never ends for a failed one, at the time when it should have ended', async () => {
    const { pass, admit, tell, subject, clock, types } = rig({ openMs: 1_000, probeTimeoutMs: 3_000 });
    pass('failure', 20);
    await clock.advance(1_000);
    const hung = admit() as Leave;
    await clock.advance(2_999);
    expect(admit()).toBeNull();
    await clock.advance(1);
    expect(admit()).toBeNull();
    expect(subject.snapshot()).toMatchObject({ state: 'open', probeAt: 6_000 });
    tell(hung, 'success');
    expect(subject.state).toBe('open');
    await clock.advance(60_000); // no caller meanwhile
    expect(admit()).not.toBeNull();
    expect(types()).toEqual(['breaker.opened', 'breaker.halfOpened', 'breaker.opened', 'breaker.halfOpened']);
  });

  it('does not listen to calls of an earlier time', async () => {
    const { pass, admit, tell, subject, clock } = rig();
    const [early, late] = [admit() as Leave, admit() as Leave];
    pass('failure', 20);
    await clock.advance(5_000);
    const probe = admit() as Leave;
    tell(early, 'success');
    expect(subject.state).toBe('halfOpen');
    tell(probe, 'success');
    tell(late, 'failure');
    expect(subject.snapshot()).toMatchObject({ state: 'closed', failures: 0 });
  });

  it('counts openMs from the failure, also if nobody has called since it began', async () => {
    const { admit, tell, subject, clock } = rig({ minCalls: 1 });
    const slow = admit() as Leave;
    await clock.advance(8_000);
    tell(slow, 'failure');
    expect(subject.snapshot()).toMatchObject({ state: 'open', probeAt: 13_000 });
  });

  it('counts a failure when it is known, not when the call began', async () => {
    const { admit, tell, pass, subject, clock } = rig();
    const slow = admit() as Leave;
    pass('failure', 19);
    await clock.advance(10_000);
    tell(slow, 'failure');
    expect(subject.snapshot()).toMatchObject({ state: 'closed', calls: 1, failures: 1 });
  });

  it('gives all calls of one generation the same function', () => {
    const { admit } = rig();
    expect(admit()).toBe(admit());
  });

  it('in a stack: opens on failures that can be seen, and neither on answers nor on cancellation', async () => {
    const clock = new VirtualClock();
    const subject = breaker({ minCalls: 4 });
    const layer = gate(subject);
    const backend = scripted([reply(404), hang(), reply(429), reply(500), reset(), reset(), refuse()]);
    const send = () => layer(callTo('payments', { clock }), backend);
    await send();
    const call = callTo('payments', { clock });
    const hung = layer(call, backend);
    call.scope.cancel();
    await expect(hung).rejects.toBeInstanceOf(CanceledError);
    await send();
    await send();
    expect(subject.snapshot()).toMatchObject({ calls: 2, failures: 1 });
    for (let i = 0; i < 2; i++) await expect(send()).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    await expect(send()).rejects.toMatchObject({ code: 'ERR_REJECTED', by: 'breaker' });
    expect(backend.calls.length).toBe(6);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('arms no real timer, opened again and again', async () => {
    const armed = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'setInterval')];
    const { pass, admit, clock } = rig({ openMs: 1_000, maxOpenMs: 1_000 });
    pass('failure', 20);
    for (let i = 0; i < 20; i++) {
      await clock.advance(1_000);
      expect(pass('failure')).toBe(1);
    }
    expect(admit()).toBeNull();
    for (const spy of armed) expect(spy).not.toHaveBeenCalled();
    expect(clock.pending).toBe(0);
  });

  it('lists everything that is wrong with its options', () => {
    expect(() => breaker({ errorRatio: 50, minCalls: 0, windowMs: 1, judge: 'x' as never })).toThrow('4 problems');
    expect(() => breaker({ errorThresholdPercentage: 50 } as never)).toThrow(ConfigError);
  });
});
