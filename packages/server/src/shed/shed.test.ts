/**
 * Would catch a guard under which a server that is asked for too much does less than it can, makes those it lets in wait,
 * refuses in an ordinary burst, or does not find back; one that refuses the critical before the rest, and one that never
 * lets go of a place. The process is simulated, the shedder is the one that ships.
 */

import { readFileSync } from 'node:fs';
import { ConfigError } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { type Costs, SimulatedProcess, type Source } from '../../tests/simulated-process.js';
import { type ShedOptions, shed, shedDefaults } from '../index.js';

function simulate(costs: Costs, sources: readonly Source[], options: Partial<ShedOptions> = {}, seed = 1) {
  const simulated = new SimulatedProcess(costs, seed);
  simulated.shedder = shed({ clock: simulated, loop: simulated, ...options });
  simulated.run(sources);
  return simulated;
}

/** CPU-bound: 1 ms and what it takes to read a request. */
const capacity = 1_000 / 1.014;

describe('shed, of a server that burns 1 ms a request', () => {
  const loads = [0.7, 2, 10, 0.7];
  const sources = loads.map((load, i) => ({ perSecond: load * capacity, fromMs: i * 3_000, toMs: (i + 1) * 3_000 }));

  it.each([1, 2, 3])('does what it can at any load, and soon is itself again (seed %i)', (seed) => {
    const simulated = simulate({ handlerMs: 1 }, sources, {}, seed);
    const [calm, twice, tenfold, after] = loads.map((_, i) => simulated.between(i * 3_000 + 500, (i + 1) * 3_000)) as [
      ReturnType<SimulatedProcess['between']>,
      ReturnType<SimulatedProcess['between']>,
      ReturnType<SimulatedProcess['between']>,
      ReturnType<SimulatedProcess['between']>,
    ];
    expect(calm.refused).toBe(0);
    for (const [{ perSecond, p99, refused, refusedP99 }, load] of [
      [twice, 2],
      [tenfold, 10],
    ] as const) {
      // What is left when the refusals have been made, by what a request costs.
      const bound = (1_000 - load * capacity * refused * 0.027) / 1.014;
      expect(perSecond / bound).toBeGreaterThan(0.97);
      expect(p99).toBeLessThan(1.5 * calm.p99);
      expect(refusedP99).toBeLessThan(50);
    }
    expect(after.refused).toBe(0);
    expect(after.p99).toBeLessThan(12);
    expect(simulated.shedder).toMatchObject({ inFlight: 0, waiting: 0, admission: null });
  });

  it('refuses no burst that it can do', () => {
    const burst = [
      { perSecond: 0.5 * capacity, toMs: 2_000 },
      { perSecond: 20_000, fromMs: 1_000, toMs: 1_002 },
    ];
    expect(simulate({ handlerMs: 1 }, burst).between(0, 2_000).refused).toBe(0);
  });

  it('takes a pause, as garbage collection makes, for no overload', () => {
    const simulated = new SimulatedProcess({ handlerMs: 1 });
    simulated.shedder = shed({ clock: simulated, loop: simulated });
    simulated.run([{ perSecond: 0.5 * capacity, toMs: 3_000 }], [{ at: 1_000, ms: 60 }]);
    expect(simulated.between(0, 3_000).refused).toBe(0);
  });

  it('tells callers how much it lets in, while it refuses', () => {
    const simulated = simulate({ handlerMs: 1 }, [{ perSecond: 4 * capacity, toMs: 1_000 }]);
    expect(Number(simulated.admissions.at(-1))).toBeCloseTo(0.23, 1);
    expect(simulated.admissions[0]).toBeNull();
  });
});

/** What a source says of its requests. */
const said = (criticality: string, ...more: string[]): string[] => ['X-Request-Criticality', criticality, ...more];

describe('shed, by criticality', () => {
  it('keeps 99.95 % of the most critical through a spike of the least, 12 times its size', () => {
    const usual = 0.2 * capacity;
    const sources = [
      { perSecond: 0.25 * capacity, toMs: 12_000, headers: said('critical-plus') },
      { perSecond: 0.2 * capacity, toMs: 12_000, headers: said('critical') },
      { perSecond: usual, toMs: 12_000, headers: said('sheddable') },
      { perSecond: 11 * usual, fromMs: 2_000, toMs: 10_000, headers: said('sheddable') },
    ];
    const simulated = simulate({ handlerMs: 1 }, sources);
    const [plus, critical, , spike] = sources.map((_, i) => simulated.between(0, 12_000, i));
    expect(plus?.refused).toBeLessThan(0.0005);
    expect(critical?.refused).toBeLessThan(0.005);
    expect(spike?.refused).toBeGreaterThan(0.7);
    expect(plus?.p99).toBeLessThan(10);
    // Nothing lies idle for it.
    expect(simulated.between(3_000, 9_000).perSecond).toBeGreaterThan(0.85 * capacity);
  });

  it('lets first attempts in before retries of the same class', () => {
    const simulated = simulate({ handlerMs: 1 }, [
      { perSecond: 0.7 * capacity, toMs: 4_000 },
      { perSecond: 2 * capacity, toMs: 4_000, headers: ['x-envoy-attempt-count', '2'] },
    ]);
    expect(simulated.between(500, 4_000, 0).refused).toBeLessThan(0.03);
    expect(simulated.between(500, 4_000, 1).refused).toBeGreaterThan(0.8);
  });

  it('lets no tenant have more than a share while there are others', () => {
    const tenant = (request: unknown): string => (request as { tenant: string }).tenant;
    const sources = [
      { perSecond: 0.2 * capacity, toMs: 4_000, tenant: 'a' },
      { perSecond: 0.2 * capacity, toMs: 4_000, tenant: 'b' },
      { perSecond: 4 * capacity, toMs: 4_000, tenant: 'greedy' },
    ];
    const fair = simulate({ handlerMs: 1 }, sources, { tenant });
    const unfair = simulate({ handlerMs: 1 }, sources);
    for (const source of [0, 1]) {
      expect(fair.between(500, 4_000, source).refused).toBeLessThan(0.02);
      expect(unfair.between(500, 4_000, source).refused).toBeGreaterThan(0.5);
    }
    // And the greedy one gets what the others leave.
    expect(fair.between(500, 4_000, 2).perSecond).toBeGreaterThan(0.35 * capacity);
  });

  it('refuses the least critical first when memory runs out, more and more of them, and the most critical last', () => {
    const refusedAt = (heap: number): number[] => {
      const simulated = new SimulatedProcess({ handlerMs: 1 });
      simulated.heap = heap;
      simulated.shedder = shed({ clock: simulated, loop: simulated });
      const classes = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable'];
      simulated.run(classes.map((each) => ({ perSecond: 100, toMs: 2_000, headers: said(each) })));
      return classes.map((_, i) => Math.round(simulated.between(0, 2_000, i).refused * 10) / 10);
    };
    expect(refusedAt(0.9)).toEqual([0, 0, 0, 0]);
    expect(refusedAt(0.9125)).toEqual([0, 0, 0, 0.5]);
    expect(refusedAt(0.95)).toEqual([0, 0, 1, 1]);
    expect(refusedAt(1)).toEqual([1, 1, 1, 1]);
  });
});

describe('shed, of a server whose handlers wait for something else', () => {
  it('learns how many may work at a time, and does not let them crowd each other', () => {
    // Handlers that take 10 ms, more of them at a time than 50 take as much longer: a database with 50 connections.
    let simulated: SimulatedProcess;
    const awaitsMs = (): number => 10 * Math.max(1, simulated.shedder.inFlight / 50);
    simulated = new SimulatedProcess({ handlerMs: 0.02, awaitsMs });
    simulated.shedder = shed({ clock: simulated, loop: simulated });
    simulated.run([
      { perSecond: 2_000, toMs: 3_000 },
      { perSecond: 15_000, fromMs: 3_000, toMs: 9_000 },
      { perSecond: 2_000, fromMs: 9_000, toMs: 12_000 },
    ]);
    const [before, crowded, after] = [
      simulated.between(1_000, 3_000),
      simulated.between(6_000, 9_000),
      simulated.between(10_000, 12_000),
    ];
    expect(before).toMatchObject({ refused: 0 });
    expect(crowded.perSecond).toBeGreaterThan(0.9 * 5_000);
    expect(crowded.p50).toBeLessThan(25);
    expect(after.refused).toBe(0);
    expect(after.p50).toBeLessThan(12);
  });

  it('does not throttle a service for good because what it waits for has become slower', () => {
    const simulated = new SimulatedProcess({ handlerMs: 0.05, awaitsMs: (now) => (now > 3_000 ? 100 : 10) });
    simulated.shedder = shed({ clock: simulated, loop: simulated });
    simulated.run([{ perSecond: 3_000, toMs: 30_000 }]);
    expect(simulated.between(20_000, 30_000).refused).toBeLessThan(0.01);
  });

  it('turns away who waits at the deadline that he has named, though nothing else happens', () => {
    const simulated = new SimulatedProcess({ handlerMs: 0.1, awaitsMs: 1_000 });
    simulated.shedder = shed({ clock: simulated, loop: simulated, initialLimit: 1, minLimit: 1 });
    simulated.run([
      { perSecond: 1_000, toMs: 3 },
      { perSecond: 1_000, fromMs: 10, toMs: 20, headers: ['x-request-timeout-ms', '30'] },
    ]);
    const late = simulated.outcomes.filter(({ source, admitted }) => source === 1 && !admitted);
    expect(late.length).toBeGreaterThan(3);
    for (const { ms } of late) expect(ms).toBeLessThan(32);
    expect(simulated.shedder).toMatchObject({ inFlight: 0, waiting: 0 });
  });
});

describe('options of shed', () => {
  it('are checked, all at once', () => {
    const wrong = { maxWaitMs: 0, targetMs: 'soon', tolerance: 0.5, tenant: 'a', loop: {}, burst: 1 };
    expect(() => shed(wrong as never)).toThrow(ConfigError);
    try {
      shed(wrong as never);
    } catch (error) {
      expect((error as ConfigError).problems.map(({ name }) => name)).toEqual(
        Object.keys(wrong).map((name) => `shed.${name}`),
      );
    }
    expect(() => shed({ minLimit: 10, maxLimit: 5 })).toThrow(/minLimit/);
  });

  it('have the defaults that the docs say', () => {
    const page = readFileSync(new URL('../../../../docs/overload.md', import.meta.url), 'utf8');
    const told = [...page.matchAll(/^\| `(\w+)` \| `([^`]+)` \|/gm)].map(([, name, value = '']) => [
      name,
      value === 'null' ? null : value === 'on' ? value : Number(value.replaceAll('_', '')),
    ]);
    const { loop, clock, ...defaults } = shedDefaults;
    expect(Object.fromEntries(told)).toEqual(defaults);
  });
});
