/**
 * Would catch a guard under which a server that is asked for too much does less than it can, makes those it lets in wait,
 * refuses in an ordinary burst, or does not find back; one that refuses the critical before the rest, and one that never
 * lets go of a place. The process is simulated, the shedder is the one that ships.
 */

import { describe, expect, it } from 'vitest';
import { type Costs, SimulatedProcess, type Source } from '../tests/simulated-process.js';
import { type ShedOptions, shed } from './index.js';

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
