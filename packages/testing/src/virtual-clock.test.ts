/**
 * Would catch: timers out of order, time that moves by itself, promise chains cut short between timers, a deadlock that
 * hangs instead of saying so, and a seed that does not repeat.
 */
import { later, Scope, sleep, TimeoutError } from '@fairlead/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from './virtual-clock.js';

describe('VirtualClock', () => {
  it('stands still until it is moved', async () => {
    const clock = new VirtualClock({ startMs: 5, wallMs: 1_000 });
    let fired = false;
    later(clock, 10, () => {
      fired = true;
    });
    for (let i = 0; i < 100; i++) await null;
    expect([clock.now(), clock.wall(), fired, clock.pending]).toEqual([5, 1_000, false, 1]);
    await clock.advance(9.5);
    expect(fired).toBe(false);
    await clock.advance(0.5);
    expect([clock.now(), clock.wall(), fired, clock.pending]).toEqual([15, 1_010, true, 0]);
  });

  it('fires by due time, then by arming, each at its own time, whatever was disarmed or re-armed before', async () => {
    const delays = fc.array(
      fc.record({ at: fc.integer({ min: 0, max: 20 }), fate: fc.constantFrom('keep', 'drop', 'move') }),
      {
        maxLength: 200,
      },
    );
    await fc.assert(
      fc.asyncProperty(delays, async (plan) => {
        const clock = new VirtualClock();
        const fired: [number, number][] = [];
        const expected: [at: number, arming: number, id: number][] = [];
        const timers = plan.map(({ at }, id) => later(clock, at, () => fired.push([clock.now(), id])));
        plan.forEach(({ at, fate }, id) => {
          const timer = timers[id] as (typeof timers)[0];
          if (fate === 'drop') clock.disarm(timer);
          if (fate === 'move') clock.arm(timer, 20 - at);
          if (fate !== 'drop') expected.push(fate === 'move' ? [20 - at, plan.length + id, id] : [at, id, id]);
        });
        expect(clock.pending).toBe(expected.length);
        await clock.advance(20);
        expected.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        expect(fired).toEqual(expected.map(([at, , id]) => [at, id]));
        expect(clock.pending).toBe(0);
      }),
    );
  });

  it('lets deep promise chains settle between two timers', async () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    later(clock, 10, async () => {
      for (let i = 0; i < 10_000; i++) await null;
      log.push(`chain at ${clock.now()}`);
      await sleep(clock, 5);
      log.push(`slept at ${clock.now()}`);
    });
    later(clock, 10, () => log.push(`second at ${clock.now()}`));
    later(clock, 11, () => log.push(`third at ${clock.now()}`));
    await clock.advance(20);
    expect(log).toEqual(['chain at 10', 'second at 10', 'third at 11', 'slept at 15']);
  });

  it('runs a promise to its end, jumping over the time between', async () => {
    const clock = new VirtualClock();
    const hours = async (): Promise<number> => {
      for (let i = 0; i < 3; i++) await sleep(clock, 3_600_000);
      return clock.now();
    };
    expect(await clock.run(hours())).toBe(10_800_000);
    await expect(clock.run(sleep(clock, 1).then(() => Promise.reject(new Error('boom'))))).rejects.toThrow('boom');
  });

  it('says so when a promise can never settle', async () => {
    const clock = new VirtualClock({ startMs: 7 });
    await expect(clock.run(new Promise(() => {}))).rejects.toThrow('deadlock at 7 ms');
    const forever = (): void => void later(clock, 60_000, forever, true);
    forever();
    await expect(clock.run(new Promise(() => {}), 3_600_000)).rejects.toThrow('still pending after 3600000 ms');
  });

  it('says so when timers are armed for ever without time passing', async () => {
    const clock = new VirtualClock();
    let rounds = 0;
    const again = (): void => {
      // A hundred thousand at once, then each turn another: the last one is one too many.
      for (let i = 0; rounds === 0 && i < 100_000; i++) later(clock, -1, () => {});
      rounds++;
      later(clock, -1, again);
    };
    again();
    await expect(clock.advance(1)).rejects.toThrow('without letting time pass');
  });

  it('goes one timer at a time', async () => {
    const clock = new VirtualClock();
    later(clock, 3, () => {});
    later(clock, 8, () => {}, true);
    expect([clock.pending, clock.pendingForeground, clock.armed.length]).toEqual([2, 1, 2]);
    expect([await clock.next(), clock.now()]).toEqual([true, 3]);
    expect([await clock.next(), clock.now()]).toEqual([true, 8]);
    expect([await clock.next(), clock.now()]).toEqual([false, 8]);
  });

  it('refuses to be moved twice at a time, and works on afterwards', async () => {
    const clock = new VirtualClock();
    const first = clock.advance(10);
    await expect(clock.advance(10)).rejects.toThrow('moved already');
    await first;
    await clock.advance(1);
    expect(clock.now()).toBe(11);
  });

  it('blocks the event loop: nothing fires until the next turn, then everything overdue at once', async () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    scope.expireAt(50, 'call', 50);
    const log: string[] = [];
    later(clock, 10, async () => {
      log.push(`first at ${clock.now()}`);
      later(clock, -200, () => log.push(`armed meanwhile, at ${clock.now()}`));
      await null;
      log.push('its promises');
    });
    later(clock, 20, () => log.push(`second at ${clock.now()}`));
    clock.block(100);
    expect([clock.now(), scope.canceled, log]).toEqual([100, false, []]);
    await clock.advance(0);
    expect(log).toEqual(['first at 100', 'second at 100', 'its promises', 'armed meanwhile, at 100']);
    expect(scope.reason).toBeInstanceOf(TimeoutError);
  });

  it('moves the wall clock without moving time', async () => {
    const clock = new VirtualClock();
    const wall = clock.wall();
    clock.jumpWall(-3_600_000);
    expect([clock.wall(), clock.now()]).toEqual([wall - 3_600_000, 0]);
    await clock.advance(1);
    expect(clock.wall()).toBe(wall - 3_599_999);
  });

  it('repeats chance by its seed', () => {
    const numbers = (seed: number): number[] => {
      const clock = new VirtualClock({ seed });
      const bytes = new Uint8Array(4);
      clock.randomFill(bytes);
      return [clock.random(), clock.random(), ...bytes];
    };
    expect(numbers(7)).toEqual(numbers(7));
    expect(numbers(7)).not.toEqual(numbers(8));
  });

  it('refuses what makes no sense', async () => {
    const clock = new VirtualClock();
    const timer = later(clock, 1, () => {});
    expect(() => clock.arm(timer, Number.NaN)).toThrow(RangeError);
    expect(() => clock.arm(timer, Number.POSITIVE_INFINITY)).toThrow(RangeError);
    expect(() => new VirtualClock().arm(timer, 1)).toThrow('another clock');
    expect(() => clock.block(-1)).toThrow(RangeError);
    await expect(clock.advance(-1)).rejects.toThrow(RangeError);
    await expect(clock.advance(Number.NaN)).rejects.toThrow(RangeError);
  });
});
