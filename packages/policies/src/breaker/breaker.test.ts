// Would catch: a breaker that opens too early, too late or never; probes that are too many, hang or close it wrongly; late
// answers of an earlier time that count; failures of an outage that are held against a service that has recovered; opossum's
// real timers deciding anything; memory or time that grows with the traffic.
import {
  CanceledError,
  ConfigError,
  gate,
  isRefusal,
  type Leave,
  nothingToReport,
  Outcome,
  RejectedError,
  systemClock,
  type Verdict,
} from '@fairlead/core';
import {
  callTo,
  checkLeaks,
  fail,
  hang,
  recordEvents,
  refuse,
  reply,
  reset,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { type BreakerOptions, breaker } from './breaker.js';

/** A breaker that is told verdicts, at times of its own. */
function rigWith(engine: BreakerOptions['engine'], options: Partial<BreakerOptions> = {}) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const events = recordEvents(runtime);
  let verdict: Verdict = 'success';
  const subject = breaker({ jitterRatio: 0, engine, ...options, judge: () => verdict });
  const enter = () => subject.enter(callTo('payments', { runtime }));
  const tell = (leave: Leave, how: Verdict, ms = 1) => {
    verdict = how;
    leave(new Outcome(null, null, ms));
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
    pass(how: Verdict, times = 1, ms = 1): number {
      let admitted = 0;
      for (let i = 0; i < times; i++) {
        const entry = enter();
        if (isRefusal(entry)) continue;
        admitted++;
        tell(entry, how, ms);
      }
      return admitted;
    },
    types: () => events.map((event) => event.type),
  };
}

describe.each(['own', 'opossum'] as const)('breaker, engine %s', (engine) => {
  const rig = (options?: Partial<BreakerOptions>) => rigWith(engine, options);

  it('opens at minCalls calls of which errorRatio failed, not before, and says when to come back', async () => {
    const { pass, subject, enter, events, clock } = rig();
    pass('success', 10);
    expect(pass('failure', 9)).toBe(9);
    expect(subject.snapshot()).toMatchObject({ state: 'closed', calls: 19, failures: 9, probeAt: null });
    pass('failure');
    expect(subject.snapshot()).toMatchObject({ state: 'open', calls: 20, failures: 10, probeAt: 5_000 });
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
    expect(subject.snapshot()).toMatchObject({ state: 'closed', calls: 0, failures: 0, probeAt: null });
    expect(pass('failure', 19)).toBe(19);
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
    const subject = breaker({ minCalls: 4, engine });
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

  it('in a stack: is neither opened nor closed by what was refused on this side, or is no fault of the service', async () => {
    const clock = new VirtualClock();
    const subject = breaker({ minCalls: 2, engine, jitterRatio: 0, openMs: 1_000 });
    const layer = gate(subject);
    const full = fail(() => new RejectedError({ by: 'concurrency' }));
    // opossum counts a lack of capacity as a failure, and an error that its filter lets pass as a success.
    const backend = scripted([full, full, full, full, reset(), reset(), full, reply(429), reply(404)]);
    const send = () => layer(callTo('payments', { clock }), backend).catch(() => {});
    for (let i = 0; i < 4; i++) await send();
    expect(subject.snapshot()).toMatchObject({ state: 'closed', calls: 0 });
    for (let i = 0; i < 2; i++) await send();
    expect(subject.state).toBe('open');
    await clock.advance(1_000);
    for (let i = 0; i < 2; i++) {
      await send();
      expect(subject.state).toBe('halfOpen');
    }
    await send();
    expect(subject.state).toBe('closed');
  });

  it('is restored without a runtime: by that of the latest call, and before any call by the clock of the system', () => {
    const first = rig();
    first.pass('failure', 20);
    const saved = first.subject.snapshot();
    const second = rig();
    second.pass('success', 1);
    second.subject.restore(saved);
    expect(second.subject.snapshot()).toMatchObject({ state: 'open', probeInMs: saved.probeInMs });
    const third = breaker();
    third.restore(saved);
    expect(third.snapshot().probeAt).toBeGreaterThanOrEqual(systemClock.now());
  });

  it('stays open for as long as it was to when it is restored right after it has opened', () => {
    const first = rig();
    first.pass('failure', 20);
    const second = rig();
    second.subject.restore(JSON.parse(JSON.stringify(first.subject.snapshot())), { clock: second.clock });
    expect([second.admit(), second.subject.snapshot().probeInMs]).toEqual([null, 5_000]);
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

  it('opens when too many calls are slow, however good their answers', () => {
    const { pass, subject } = rig({ slowMs: 1_000, slowRatio: 0.5 });
    pass('success', 10, 1_000);
    pass('success', 9, 1_001);
    expect(subject.snapshot()).toMatchObject({ state: 'closed', calls: 19, failures: 0, slow: 9 });
    pass('success', 1, 1_001);
    expect(subject.state).toBe('open');
  });

  it('takes a slow probe for a failed one', async () => {
    const { pass, subject, clock } = rig({ slowMs: 1_000 });
    pass('failure', 20);
    await clock.advance(5_000);
    pass('success', 1, 1_001);
    expect(subject.snapshot()).toMatchObject({ state: 'open', reopenings: 1 });
  });

  it('closes after as many probes as it is told, which may be out at the same time, and opens if one fails', async () => {
    const { pass, admit, tell, subject, clock } = rig({ probes: 3, openMs: 1_000 });
    pass('failure', 20);
    await clock.advance(1_000);
    const [a, b, c] = [admit() as Leave, admit() as Leave, admit() as Leave];
    expect(admit()).toBeNull();
    tell(a, 'success');
    tell(b, 'ignored');
    expect(admit()).not.toBeNull();
    expect(admit()).toBeNull();
    tell(c, 'failure');
    expect(subject.snapshot()).toMatchObject({ state: 'open', probeInMs: 2_000 });
    await clock.advance(2_000);
    expect(pass('success', 2)).toBe(2);
    expect(subject.state).toBe('halfOpen');
    pass('success');
    expect(subject.state).toBe('closed');
  });

  it('shortens its times by chance, never beyond jitterRatio', async () => {
    const waits = new Set<number>();
    const { pass, subject, clock } = rig({ jitterRatio: 0.2, openMs: 1_000, maxOpenMs: 1_000 });
    pass('failure', 20);
    for (let i = 0; i < 50; i++) {
      const { probeInMs } = subject.snapshot();
      expect(probeInMs).toBeGreaterThan(800 - 1e-6);
      expect(probeInMs).toBeLessThanOrEqual(1_000);
      waits.add(probeInMs as number);
      await clock.advance(probeInMs as number);
      pass('failure');
    }
    expect(waits.size).toBe(50);
  });

  it('refuses everything when it is forced open, until it is reset', async () => {
    const { pass, enter, subject, clock, types } = rig();
    pass('success', 5);
    subject.forceOpen();
    subject.forceOpen();
    await clock.advance(1e6);
    expect(enter()).toMatchObject({ by: 'breaker', retryAfterMs: null, message: expect.stringContaining('somebody') });
    subject.reset();
    expect(subject.snapshot()).toMatchObject({ state: 'closed', calls: 0 });
    expect(pass('success')).toBe(1);
    expect(types()).toEqual(['breaker.opened', 'breaker.closed']);
  });

  it('lets everything in and learns nothing while it is disabled, or off', () => {
    for (const options of [{}, { mode: 'off' as const }]) {
      const { pass, enter, subject, types } = rig(options);
      subject.disable();
      expect(enter()).toBe(nothingToReport);
      expect(pass('failure', 100)).toBe(100);
      expect(subject.snapshot()).toMatchObject({ state: 'disabled', calls: 0 });
      subject.reset();
      pass('failure', 100);
      expect(types()).toEqual(['breaker.opened']);
    }
  });

  it('in shadow lives as it would and refuses nothing', async () => {
    const { pass, admit, tell, subject, clock, events } = rig({ mode: 'shadow' });
    pass('failure', 20);
    expect(subject.state).toBe('open');
    expect(pass('success', 10)).toBe(10);
    expect(subject.state).toBe('open');
    expect(events.filter((event) => (event.type as string) === 'policy.shadowed').length).toBe(10);
    await clock.advance(5_000);
    tell(admit() as Leave, 'success');
    expect(subject.state).toBe('closed');
  });

  it('goes on in another process from what a snapshot says, and refuses what is none', async () => {
    const first = rig({ openMs: 1_000 });
    first.pass('success', 10);
    first.pass('failure', 9);
    const closed = rig();
    closed.subject.restore(JSON.parse(JSON.stringify(first.subject.snapshot())), { clock: closed.clock });
    closed.pass('failure');
    expect(closed.subject.state).toBe('open');

    first.pass('failure');
    await first.clock.advance(400);
    const open = rig({ openMs: 1_000 });
    await open.clock.advance(1e6);
    open.subject.restore(JSON.parse(JSON.stringify(first.subject.snapshot())), { clock: open.clock });
    expect(open.subject.snapshot()).toMatchObject({ state: 'open', probeInMs: 600 });
    await open.clock.advance(599);
    expect(open.pass('success')).toBe(0);
    await open.clock.advance(1);
    expect(open.pass('success')).toBe(1);
    expect(open.subject.state).toBe('closed');

    const before = open.subject.snapshot();
    for (const wrong of [
      null,
      {},
      { ...before, state: 'x' },
      { ...before, calls: -1 },
      { ...before, reopenings: 0.5 },
    ]) {
      expect(() => open.subject.restore(wrong as never, { clock: open.clock })).toThrow(ConfigError);
    }
    expect(open.subject.snapshot()).toEqual(before);
  });

  it('may probe at once when it is restored from half-open', async () => {
    const first = rig();
    first.pass('failure', 20);
    await first.clock.advance(5_000);
    first.admit();
    const second = rig();
    second.subject.restore(first.subject.snapshot(), { clock: second.clock });
    expect(second.pass('success')).toBe(1);
    expect(second.subject.state).toBe('closed');
  });
});

describe('breaker', () => {
  it('takes the names of opossum', async () => {
    const clock = new VirtualClock();
    const options = {
      errorThresholdPercentage: 30,
      volumeThreshold: 10,
      resetTimeout: 700,
      rollingCountTimeout: 1_000,
    };
    const subject = breaker({ ...options, rollingCountBuckets: 10, name: 'x', jitterRatio: 0 });
    const layer = gate(subject);
    const backend = scripted((_, n) => reply(n <= 7 ? 200 : 500));
    for (let i = 0; i < 10; i++) await layer(callTo('payments', { clock }), backend);
    expect(subject.snapshot()).toMatchObject({ state: 'open', probeInMs: 700 });
  });

  it('knows of opossum: enabled, volumeThreshold 0, and an errorFilter whose errors say nothing', async () => {
    expect(breaker({ enabled: false }).state).toBe('disabled');
    const clock = new VirtualClock();
    const subject = breaker({
      volumeThreshold: 0,
      errorFilter: (error) => (error as Error).message.includes('ECONNRESET'),
    });
    const layer = gate(subject);
    const backend = scripted([reset(), refuse()]);
    await layer(callTo('payments', { clock }), backend).catch(() => {});
    expect(subject.snapshot()).toMatchObject({ state: 'closed', calls: 0 });
    await layer(callTo('payments', { clock }), backend).catch(() => {});
    expect(subject.state).toBe('open');
  });

  it('says what to use for what it does not do, and what is wrong or there twice', () => {
    expect(() => breaker({ timeout: 3_000, capacity: 2 } as never)).toThrow(/attemptTimeout.*\n.*limit/);
    expect(() => breaker({ errorThresholdPercentage: 101, resetTimeout: 0 })).toThrow('2 problems');
    expect(() => breaker({ resetTimeout: 100, openMs: 100 })).toThrow('beside openMs');
  });

  it('decides alike with both engines', async () => {
    const step = fc.oneof(
      fc.constantFrom<Verdict>('success', 'failure', 'ignored').map((how) => ({ how, ms: 0 })),
      fc.integer({ min: 1, max: 400 }).map((ms) => ({ how: null, ms })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 120 }), async (steps) => {
        const options = { minCalls: 5, windowMs: 1_000, openMs: 300, slowMs: 10, slowRatio: 0.7 };
        const rigs = [rigWith('own', options), rigWith('opossum', options)];
        for (const { how, ms } of steps) {
          for (const { pass, clock } of rigs) {
            if (how === null) await clock.advance(ms);
            else pass(how, 1, ms % 20);
          }
          const [own, hosted] = rigs.map(({ subject }) => subject.snapshot());
          expect(own).toEqual(hosted);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('lists everything that is wrong with its options', () => {
    expect(() => breaker({ errorRatio: 50, minCalls: 0, windowMs: 1, judge: 'x' as never })).toThrow('4 problems');
    expect(() => breaker({ errorThresholdPercent: 50 } as never)).toThrow(ConfigError);
  });
});
