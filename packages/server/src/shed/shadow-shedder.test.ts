/**
 * Would catch a shedder that only watches and refuses all the same, or that says nothing, or something else than one that
 * acts would have done; and one that is off and counts or tells anything.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { adapters, ask, start, stopServers } from '../../tests/harness.js';
import { type Costs, SimulatedProcess, type Source } from '../../tests/simulated-process.js';
import { createGuard, eventLoop, type ShedOptions, shed } from '../index.js';

afterEach(stopServers);

function simulate(
  costs: Costs,
  sources: readonly Source[],
  options: Partial<ShedOptions> = {},
  pauses: readonly { at: number; ms: number }[] = [],
) {
  const simulated = new SimulatedProcess(costs, 1);
  simulated.shedder = shed({ clock: simulated, loop: simulated, mode: 'shadow', ...options });
  simulated.run(sources, pauses);
  return simulated;
}

const capacity = 1_000 / 1.014;
const said = (criticality: string): string[] => ['X-Request-Criticality', criticality];

/** The share of what was sent in [fromMs, toMs) that would have been refused. */
function shadowed(simulated: SimulatedProcess, fromMs: number, toMs: number, source?: number): number {
  const within = (at: number, of: number): boolean => at >= fromMs && at < toMs && (source ?? of) === of;
  const all = simulated.outcomes.filter((each) => within(each.sent, each.source)).length;
  return simulated.shadowed.filter((each) => within(each.at, each.source)).length / all;
}

describe('shed in shadow mode', () => {
  it.each([2, 4])('lets %i times as much in as can be done, and says how much of it is too much', (load) => {
    const simulated = simulate({ handlerMs: 1 }, [{ perSecond: load * capacity, toMs: 2_000 }]);
    expect(simulated.between(0, 2_000).refused).toBe(0);
    expect(simulated.admissions.every((told) => told === null)).toBe(true);
    expect(Math.abs(shadowed(simulated, 500, 2_000) - (1 - 1 / load))).toBeLessThan(0.1);
    expect(simulated.shedder).toMatchObject({ inFlight: 0, waiting: 0 });
  });

  it('says nothing of what one that acts would let in: a usual load, a full one, a burst, a pause', () => {
    const usual = [{ perSecond: 0.7 * capacity, toMs: 3_000 }];
    const burst = [
      { perSecond: 0.5 * capacity, toMs: 2_000 },
      { perSecond: 20_000, fromMs: 1_000, toMs: 1_002 },
    ];
    for (const sources of [usual, burst]) expect(simulate({ handlerMs: 1 }, sources).shadowed).toEqual([]);
    expect(simulate({ handlerMs: 1 }, usual, {}, [{ at: 1_000, ms: 60 }]).shadowed).toEqual([]);
  });

  it('says nothing any more once the overload is over', () => {
    const sources = [
      { perSecond: 3 * capacity, toMs: 500 },
      { perSecond: 0.5 * capacity, fromMs: 500, toMs: 6_000 },
    ];
    const simulated = simulate({ handlerMs: 1 }, sources);
    expect(shadowed(simulated, 0, 500)).toBeGreaterThan(0.1);
    expect(shadowed(simulated, 3_000, 6_000)).toBe(0);
  });

  it('takes the least critical first, and who asks for more than a share', () => {
    const sources = [
      { perSecond: 0.4 * capacity, toMs: 2_000, headers: said('critical') },
      { perSecond: 1.2 * capacity, toMs: 2_000, headers: said('sheddable') },
    ];
    const simulated = simulate({ handlerMs: 1 }, sources);
    expect(shadowed(simulated, 500, 2_000, 0)).toBe(0);
    expect(shadowed(simulated, 500, 2_000, 1)).toBeGreaterThan(0.3);
    const tenants = [
      { perSecond: 0.2 * capacity, toMs: 2_000, tenant: 'a' },
      { perSecond: 1.4 * capacity, toMs: 2_000, tenant: 'greedy' },
    ];
    const tenant = (request: unknown): string => (request as { tenant: string }).tenant;
    const fair = simulate({ handlerMs: 1 }, tenants, { tenant });
    expect(shadowed(fair, 500, 2_000, 0)).toBeLessThan(0.03);
    expect(shadowed(fair, 500, 2_000, 1)).toBeGreaterThan(0.25);
  });

  it('sees handlers that crowd each other, though it does not keep them from it', () => {
    let simulated: SimulatedProcess;
    const awaitsMs = (): number => 10 * Math.max(1, simulated.shedder.inFlight / 50);
    simulated = new SimulatedProcess({ handlerMs: 0.02, awaitsMs });
    simulated.shedder = shed({ clock: simulated, loop: simulated, mode: 'shadow' });
    simulated.run([
      { perSecond: 2_000, toMs: 3_000 },
      { perSecond: 15_000, fromMs: 3_000, toMs: 4_000 },
    ]);
    expect(shadowed(simulated, 1_000, 3_000)).toBe(0);
    // Of 15,000 a second 5,000 can be done.
    expect(Math.abs(shadowed(simulated, 3_500, 4_000) - 2 / 3)).toBeLessThan(0.1);
  });

  it('gets used to handlers that have become slower by themselves', () => {
    const simulated = simulate({ handlerMs: 0.05, awaitsMs: (now) => (now > 3_000 ? 100 : 10) }, [
      { perSecond: 3_000, toMs: 20_000 },
    ]);
    expect(shadowed(simulated, 1_000, 3_000)).toBe(0);
    expect(shadowed(simulated, 10_000, 20_000)).toBeLessThan(0.01);
  });

  it('sees memory run out', () => {
    const simulated = new SimulatedProcess({ handlerMs: 0.1 });
    simulated.heap = 0.95;
    simulated.shedder = shed({ clock: simulated, loop: simulated, mode: 'shadow' });
    simulated.run(['critical', 'sheddable'].map((each) => ({ perSecond: 200, toMs: 2_000, headers: said(each) })));
    expect(shadowed(simulated, 200, 2_000, 0)).toBe(0);
    expect(shadowed(simulated, 200, 2_000, 1)).toBe(1);
  });
});

describe.each(adapters)('under %s', (adapter) => {
  it('shadow tells the event, and the load, and refuses nothing', async () => {
    const events: unknown[] = [];
    const { clock } = { clock: (await import('@fairlead/core')).systemClock };
    const shedder = shed({ mode: 'shadow', loop: { ...eventLoop, heapRatio: () => 1 } });
    const runtime = { clock, on: (event: unknown) => void events.push(event) };
    const { port } = await start(adapter, createGuard({ shed: shedder, runtime, service: 'shop' }), (_req, res) =>
      res.end('done'),
    );
    for (let i = 0; i < 3; i++) {
      const { status, headers } = await ask(port, { headers: { 'x-fairlead-tell': 'load' } });
      expect(status).toBe(200);
      expect(headers).toMatchObject({ 'endpoint-load-metrics': expect.stringContaining('mem_utilization=') });
    }
    expect(events).toContainEqual({ type: 'policy.shadowed', service: 'shop', policy: 'shed', would: 'refuse' });
    expect(events).not.toContainEqual(expect.objectContaining({ type: 'request.refused' }));
    expect(shedder.inFlight).toBe(0);
  });

  it('off tells nothing', async () => {
    const shedder = shed({ mode: 'off', loop: { ...eventLoop, heapRatio: () => 1 } });
    const { port } = await start(adapter, createGuard({ shed: shedder }), (_req, res) => res.end('done'));
    const { status, headers } = await ask(port, { headers: { 'x-fairlead-tell': 'load' } });
    expect([status, headers['endpoint-load-metrics']]).toEqual([200, undefined]);
    expect(shedder).toMatchObject({ inFlight: 0, waiting: 0, demand: 0, admission: null });
  });
});
