/**
 * Would catch: a wheel that fires early, later than one slot, twice or never; that forgets near timers when a far one is
 * armed while it turns; that keeps a process alive for background timers, or for none; that stops when a timer throws.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Timer } from './timer.js';
import { TimerWheel } from './timer-wheel.js';

const SLOT_MS = 4;

/** Time by hand. The alarm rings exactly when it was set for. */
class Driver {
  time: number;
  ringsAt: number | null = null;
  keepsAlive = false;
  rings = 0;
  readonly wheel: TimerWheel;

  constructor(startMs = 0, said: boolean[] = []) {
    this.time = startMs;
    this.wheel = new TimerWheel({
      now: () => this.time,
      set: (ms) => {
        this.ringsAt = this.time + ms;
      },
      keepAlive: (yes) => {
        said.push(yes);
        this.keepsAlive = yes;
      },
    });
  }

  ring(): void {
    this.ringsAt = null;
    this.rings++;
    this.wheel.turn();
  }

  /** Until nothing rings any more, or until `ms`. */
  run(ms = Number.POSITIVE_INFINITY): void {
    while (this.ringsAt !== null && this.ringsAt <= ms) {
      this.time = Math.max(this.time, this.ringsAt);
      this.ring();
    }
    if (Number.isFinite(ms)) this.time = Math.max(this.time, ms);
  }
}

class Probe extends Timer {
  readonly firedAt: number[] = [];
  readonly #driver: Driver;
  readonly #then: () => void;
  constructor(driver: Driver, then: () => void = () => {}) {
    super();
    this.#driver = driver;
    this.#then = then;
  }
  fire(): void {
    this.firedAt.push(this.#driver.time);
    this.#then();
  }
}

/** Evenly spread, to the microsecond; `fc.double` would give almost nothing but numbers next to 0. */
const millis = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min: min * 1_000, max: max * 1_000 }).map((us) => us / 1_000);
const delay = fc.oneof(millis(0, 50), millis(0, 60_000));

describe('TimerWheel', () => {
  it('fires every timer once, never early, at most one slot and the rounding of the alarm late', () => {
    fc.assert(
      fc.property(millis(0, 1_000_000), fc.array(fc.tuple(delay, delay), { maxLength: 60 }), (start, plan) => {
        const driver = new Driver(start);
        // Some are armed at once, some from within others: while the wheel turns.
        const probes = plan.map(([first, second]) => {
          const late = new Probe(driver);
          const probe = new Probe(driver, () => driver.wheel.arm(late, driver.time + second));
          driver.wheel.arm(probe, start + first);
          return [probe, late] as const;
        });
        driver.run();
        for (const probe of probes.flat()) {
          expect(probe.firedAt.length).toBe(1);
          const lateMs = (probe.firedAt[0] as number) - probe.due;
          expect(lateMs).toBeGreaterThanOrEqual(0);
          expect(lateMs).toBeLessThan(SLOT_MS + 1);
          expect(probe.armed).toBe(false);
        }
        expect(driver.keepsAlive).toBe(false);
      }),
    );
  });

  it('fires what it should, whatever is disarmed, moved and blocked meanwhile', () => {
    const action = fc.record({
      what: fc.constantFrom('arm', 'disarm', 'pass', 'block'),
      which: fc.nat(9),
      ms: fc.oneof(millis(-20, 60), millis(0, 6_000)),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
        const driver = new Driver();
        const expected = new Map<Probe, number>();
        const fired: [due: number, at: number][] = [];
        const probes = Array.from({ length: 10 }, () => {
          const probe: Probe = new Probe(driver, () => {
            expect(expected.get(probe)).toBe(probe.due);
            expected.delete(probe);
            fired.push([probe.due, driver.time]);
          });
          return probe;
        });
        for (const { what, which, ms } of actions) {
          const probe = probes[which] as Probe;
          if (what === 'arm') {
            driver.wheel.arm(probe, driver.time + ms);
            expected.set(probe, driver.time + ms);
          } else if (what === 'disarm') {
            driver.wheel.disarm(probe);
            expected.delete(probe);
          } else if (what === 'pass') driver.run(driver.time + Math.abs(ms));
          else driver.time += Math.abs(ms);
          for (const each of probes) expect(each.armed).toBe(expected.has(each));
          if (expected.size > 0) expect(driver.keepsAlive).toBe(true);
        }
        driver.run();
        expect([expected.size, driver.keepsAlive]).toEqual([0, false]);
        for (const [due, at] of fired) expect(at).toBeGreaterThanOrEqual(due);
      }),
    );
  });

  it('does not forget a near timer when a far one is armed while it turns', () => {
    const driver = new Driver();
    const far = new Probe(driver);
    driver.wheel.arm(new Probe(driver, () => driver.wheel.arm(far, 4_000)), 10);
    const near = new Probe(driver);
    driver.wheel.arm(near, 20);
    driver.run();
    expect([near.firedAt, far.firedAt]).toEqual([[20], [4_000]]);
  });

  it('takes a due time in the past for now', () => {
    const driver = new Driver(1_000);
    const probe = new Probe(driver);
    driver.wheel.arm(probe, -5);
    driver.run();
    expect(probe.firedAt).toEqual([1_004]);
    // Also after a long idle time, and when armed while another fires.
    driver.time = 100_000;
    const second = new Probe(driver, () => driver.wheel.arm(probe, 0));
    driver.wheel.arm(second, 99_000);
    driver.run();
    expect([second.firedAt, probe.firedAt]).toEqual([[100_001], [1_004, 100_004]]);
  });

  it('fires in one turn everything that a blocked event loop kept waiting, in order of slots', () => {
    const driver = new Driver();
    const order: number[] = [];
    for (const ms of [5_000, 30, 10, 20, 9_000]) driver.wheel.arm(new Probe(driver, () => order.push(ms)), ms);
    driver.time = 6_000;
    driver.ring();
    expect([...order].sort((a, b) => a - b)).toEqual([10, 20, 30, 5_000]);
    driver.run();
    expect(order.at(-1)).toBe(9_000);
  });

  it('lets a timer that fires disarm one that is due in the same turn', () => {
    const driver = new Driver();
    const second = new Probe(driver);
    driver.wheel.arm(new Probe(driver, () => driver.wheel.disarm(second)), 10);
    driver.wheel.arm(second, 10);
    driver.run();
    expect(second.firedAt).toEqual([]);
    driver.wheel.disarm(second);
    expect(driver.keepsAlive).toBe(false);
  });

  it('lets a timer arm itself again', () => {
    const driver = new Driver();
    let left = 3;
    const probe: Probe = new Probe(driver, () => {
      if (--left > 0) driver.wheel.arm(probe, driver.time + 10);
    });
    driver.wheel.arm(probe, 10);
    driver.run();
    expect(probe.firedAt).toEqual([12, 24, 36]);
  });

  it('does nothing when it is woken early', () => {
    const driver = new Driver();
    const probe = new Probe(driver);
    driver.wheel.arm(probe, 50);
    driver.time = 20;
    driver.ring();
    expect(probe.firedAt).toEqual([]);
    driver.run();
    expect(probe.firedAt).toEqual([52]);
  });

  it('goes on after a timer that throws', () => {
    const driver = new Driver();
    driver.wheel.arm(
      new Probe(driver, () => {
        throw new Error('broken');
      }),
      10,
    );
    const [same, later] = [new Probe(driver), new Probe(driver)];
    driver.wheel.arm(same, 10);
    driver.wheel.arm(later, 50);
    expect(() => driver.run()).toThrow('broken');
    driver.run();
    expect([same.firedAt, later.firedAt]).toEqual([[16], [52]]);
  });

  it('keeps the process alive for foreground timers only', () => {
    const driver = new Driver();
    const [front, back] = [new Probe(driver), new Probe(driver)];
    back.background = true;
    driver.wheel.arm(back, 10);
    expect(driver.keepsAlive).toBe(false);
    driver.wheel.arm(front, 20);
    driver.wheel.arm(front, 30);
    expect(driver.keepsAlive).toBe(true);
    driver.wheel.disarm(front);
    expect([driver.keepsAlive, back.armed]).toEqual([true, true]);
    driver.run(11);
    expect(driver.keepsAlive).toBe(true);
    driver.run();
    expect([driver.keepsAlive, back.firedAt]).toEqual([false, [12]]);
    driver.wheel.arm(front, 5_000);
    driver.wheel.disarm(front);
    driver.run();
    // Twenty ms after the last one that wanted it, not when that one would have fired.
    expect([driver.keepsAlive, driver.time]).toEqual([false, 40]);
  });

  it('seldom says whether the process is kept where calls come and go one by one', () => {
    const said: boolean[] = [];
    const driver = new Driver(0, said);
    const probe = new Probe(driver);
    for (let i = 0; i < 300; i++) {
      driver.wheel.arm(probe, driver.time + 1_000);
      driver.run(driver.time + 1);
      driver.wheel.disarm(probe);
      driver.run(driver.time + 1);
    }
    expect(said.length).toBeLessThan(60);
    driver.run();
    expect(said.at(-1)).toBe(false);
  });

  it('sets the alarm once for many timeouts that do not happen, and lets it rest when nothing is left', () => {
    const driver = new Driver();
    let sets = 0;
    const wheel = new TimerWheel({ now: () => driver.time, set: () => sets++, keepAlive: () => {} });
    for (let i = 0; i < 1_000; i++) {
      const probe = new Probe(driver);
      wheel.arm(probe, driver.time + 2_000);
      driver.time += 0.5;
      wheel.disarm(probe);
    }
    // The other one is for letting the process go.
    expect(sets).toBe(2);
    driver.time = 2_000;
    wheel.turn();
    expect(sets).toBe(2);
  });

  it('sleeps through the slots of timers that are due in minutes, and then fires each in its slot', () => {
    const driver = new Driver();
    const far = Array.from({ length: 300 }, (_, i) => {
      const probe = new Probe(driver);
      driver.wheel.arm(probe, 240_000 + i * 13);
      return probe;
    });
    // What comes in between is not late for it, also where it shares a slot with one of them.
    const near = new Probe(driver);
    driver.run(20_000);
    driver.wheel.arm(near, 20_000 + (240_000 % (1_024 * SLOT_MS)));
    driver.run(230_000);
    expect(near.firedAt).toEqual([near.due]);
    // Once for each turn of the wheel, that is every 4 s; it was three hundred times as often.
    expect(driver.rings).toBeLessThan(70);
    driver.run();
    for (const [i, { firedAt }] of far.entries()) {
      expect(firedAt).toHaveLength(1);
      expect((firedAt[0] as number) - (240_000 + i * 13)).toBeLessThan(SLOT_MS);
    }
  });
});
