// Catches: reports that are asked for when nobody wants them, or with every request; a header of the caller that is lost;
// weights that change too soon, too late, or for an endpoint that has become another one; and errors that count for nothing.
import {
  type Call,
  compose,
  createEndpoint,
  discard,
  type Endpoint,
  type Resolver,
  type Runtime,
} from '@fairlead/core';
import { callTo, checkLeaks, fail, hang, reply, reset, type Script, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { type BalanceOptions, balance } from './balance.js';
import { Cluster } from './cluster.js';
import { roundRobin } from './round-robin.js';

const report = (utilization: number) => ({ 'endpoint-load-metrics': `TEXT application_utilization=${utilization}` });
const told = ({ headers }: Call): string | undefined => headers[headers.indexOf('x-fairlead-tell') + 1];
const asks = (call: Call): boolean => call.headers.includes('x-fairlead-tell');

function make(script: Script, loadReports: BalanceOptions['loadReports'], weights: readonly number[] = [1, 1, 1]) {
  const clock = new VirtualClock({ seed: 5 });
  const runtime: Runtime = { clock };
  let tell: (endpoints: readonly Endpoint[]) => void = () => {};
  const ids = weights.map((_, i) => `e${i}`);
  const endpoints = weights.map((weight, i) => createEndpoint(`http://10.0.0.${i + 1}:8080`, { id: `e${i}`, weight }));
  const resolver: Resolver = {
    name: 'test',
    watch: (update) => {
      tell = (snapshot) => update({ endpoints: snapshot });
      tell(endpoints);
    },
  };
  const cluster = new Cluster({
    service: 'payments',
    resolver,
    runtime,
    idleMs: false,
    health: { maxEjectedRatio: 0 },
  });
  const backend = scripted(script);
  const handler = compose([balance({ cluster, picker: roundRobin(), loadReports })], backend);
  const send = async (init: Parameters<typeof callTo>[1] = {}): Promise<void> => {
    const call = callTo('payments', { ...init, runtime });
    await clock.run(handler(call).then(discard, () => {}));
    call.scope.close();
  };
  /** Ten requests a second for so many seconds. */
  const load = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds * 10; i++) {
      await send();
      await clock.advance(100);
    }
  };
  const weightsNow = (): number[] => cluster.members.map(({ weight }) => weight);
  return { clock, cluster, backend, send, load, weightsNow, ids, endpoints, tell: (each: Endpoint[]) => tell(each) };
}

const byIndex = (loads: readonly number[]): Script =>
  Object.fromEntries(loads.map((load, i) => [`e${i}`, reply(200, { headers: report(load) })]));

describe('load reports', () => {
  it.each([undefined, false])('are not asked for where they are %s, nor read', async (loadReports) => {
    const { backend, load, weightsNow, cluster } = make(byIndex([0.1, 0.5, 0.9]), loadReports);
    await load(30);
    expect(backend.calls.some(asks)).toBe(false);
    expect(weightsNow()).toEqual([1, 1, 1]);
    expect(cluster.members.map((node) => node.load)).toEqual([null, null, null]);
  });

  it('are asked for once per endpoint and period, beside what the caller asks for', async () => {
    const { backend, send, clock } = make(reply(), { periodMs: 500 });
    const headers = ['accept', '*/*', 'x-fairlead-tell', 'timing'];
    for (let i = 0; i < 6; i++) await send({ headers });
    expect(backend.calls.map(told)).toEqual([...Array(3).fill('timing, load'), ...Array(3).fill('timing')]);
    expect(backend.calls[0]?.headers.slice(0, 2)).toEqual(['accept', '*/*']);
    await clock.advance(499);
    await send();
    expect(asks(backend.calls.at(-1) as Call)).toBe(false);
    await clock.advance(1);
    for (let i = 0; i < 6; i++) await send();
    expect(backend.calls.slice(7).map(asks)).toEqual([true, true, true, false, false, false]);
  });

  it('make those busier lighter, within the bound, after the blackout and not before', async () => {
    const { load, weightsNow } = make(byIndex([0.9, 0.5, 0.1]), true);
    await load(10);
    expect(weightsNow()).toEqual([1, 1, 1]);
    await load(2);
    const [busy, middle, idle] = weightsNow() as [number, number, number];
    expect(busy).toBeLessThan(0.8);
    expect(middle).toBe(1);
    expect(idle).toBeGreaterThan(1.5);
    await load(30);
    expect(weightsNow()).toEqual([0.25, 1, 4]);
  });

  it('multiply the weights that discovery tells, also when it tells others', async () => {
    const { load, weightsNow, tell, endpoints } = make(
      byIndex([0.9, 0.5, 0.1]),
      { blackoutMs: 0, maxFactor: 2 },
      [1, 2, 3],
    );
    await load(30);
    expect(weightsNow()).toEqual([0.5, 2, 6]);
    tell(endpoints.map(({ id, origin }) => createEndpoint(origin, { id, weight: 10 })));
    expect(weightsNow()).toEqual([5, 10, 20]);
  });

  it('are forgotten when an endpoint has become another one', async () => {
    const { load, weightsNow, tell, endpoints } = make(byIndex([0.9, 0.5, 0.1]), { blackoutMs: 0 });
    await load(30);
    expect(weightsNow()).toEqual([0.25, 1, 4]);
    tell(endpoints.map((each, i) => (i === 2 ? createEndpoint('http://10.0.0.9:8080', { id: 'e2' }) : each)));
    expect(weightsNow()).toEqual([0.25, 1, 1]);
  });

  it('have no effect any more some time after the last one, and a blackout again when they are back', async () => {
    let silent = false;
    const script: Script = (call) => {
      const index = Number(call.endpoint?.id.slice(1));
      return reply(200, { headers: silent && index === 0 ? {} : report([0.9, 0.5, 0.1][index] as number) });
    };
    const { load, weightsNow } = make(script, { expireMs: 5_000, blackoutMs: 3_000 });
    await load(20);
    expect(weightsNow()[0]).toBe(0.25);
    silent = true;
    await load(3);
    expect(weightsNow()[0]).toBe(0.25);
    await load(4);
    expect(weightsNow()[0]).toBe(1);
    silent = false;
    await load(2);
    expect(weightsNow()[0]).toBe(1);
    await load(10);
    expect(weightsNow()[0]).toBeLessThan(0.5);
  });

  it('do not count twice: weights change by news only', async () => {
    let reports = 0;
    const script: Script = (call) => {
      const index = Number(call.endpoint?.id.slice(1));
      return reply(200, { headers: index === 0 && reports++ > 0 ? {} : report(index === 0 ? 0.9 : 0.5) });
    };
    const { load, weightsNow } = make(script, { blackoutMs: 0 });
    await load(3);
    const [before] = weightsNow();
    expect(before).toBeLessThan(0.9);
    await load(20);
    expect(weightsNow()[0]).toBe(before);
  });

  it('of servers that report with every answer are read twice a period at most', async () => {
    let reads = 0;
    const headers = Object.defineProperty({}, 'endpoint-load-metrics', {
      get: () => {
        reads++;
        return 'TEXT cpu_utilization=0.5';
      },
    });
    const { send, cluster } = make(reply(200, { headers }), true, [1]);
    for (let i = 0; i < 50; i++) await send();
    // Looked up, and no more.
    expect(reads).toBe(50);
    expect(cluster.members[0]?.load?.answers).toBeCloseTo(49.5);
  });

  it.each([
    ['answers with errors at once', reply(500, { headers: report(0.05) })],
    [
      'says that others get errors',
      reply(200, { headers: { 'endpoint-load-metrics': 'TEXT cpu_utilization=0.05, eps=9, rps_fractional=10' } }),
    ],
  ])('do not draw traffic to an endpoint that %s', async (_, failing) => {
    const fine = reply(200, { headers: report(0.5) });
    const { load, weightsNow } = make({ e0: failing, e1: fine, e2: fine }, { blackoutMs: 0 });
    await load(30);
    expect(weightsNow()[0]).toBeLessThan(0.5);
    const kind = make({ e0: failing, e1: fine, e2: fine }, { blackoutMs: 0, errorPenalty: 0 });
    await kind.load(30);
    expect(kind.weightsNow()[0]).toBeCloseTo(4);
  });

  it('count broken connections as errors, and what was canceled not', async () => {
    let n = 0;
    const script: Script = () => (n++ % 2 === 0 ? fail(new Error('x')) : reply(200, { headers: report(0.5) }));
    const { send, cluster } = make(script, true, [1]);
    await send();
    expect(cluster.members[0]?.load).toMatchObject({ answers: 0, errors: 0 });
    const broken = make(reset(), true, [1]);
    await broken.send();
    expect(broken.cluster.members[0]?.load).toMatchObject({ answers: 1, errors: 1 });
    const canceled = make(hang(), true, [1]);
    const call = callTo('payments', { clock: canceled.clock });
    call.scope.cancel();
    await canceled.send({ scope: call.scope });
    expect(canceled.cluster.members[0]?.load).toMatchObject({ answers: 0, errors: 0 });
  });

  it('leave nothing behind', async () => {
    const { clock, backend, load, cluster } = make(byIndex([0.9, 0.5, 0.1]), true);
    await load(20);
    cluster.close();
    checkLeaks({ clock, backend });
  });

  it('have options that are checked', () => {
    const wrong = { periodMs: 1, blackoutMs: -1, expireMs: 0, errorPenalty: -1, maxFactor: 0.5, perod: 3 };
    for (const [name, value] of Object.entries(wrong)) {
      expect(() => make(reply(), { [name]: value })).toThrow(`loadReports.${name}`);
    }
    expect(() => make(reply(), 'yes' as never)).toThrow('balance.loadReports');
  });
});
