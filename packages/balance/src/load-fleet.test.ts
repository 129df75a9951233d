// Catches, over fleets of unequal machines in virtual time: shares that do not follow what machines can do, or what others
// leave of them; and reports that never settle.
import { type Call, compose, createCall, discard, type Picker, type Runtime, sleep } from '@fairlead/core';
import { reply, type Step, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { balance } from './balance.js';
import { Cluster } from './cluster.js';
import type { LoadReportOptions } from './load-reports.js';
import { p2c } from './p2c.js';
import { fixed } from './resolvers/fixed.js';
import { roundRobin } from './round-robin.js';

/** CPU time of a request on a machine of speed 1, and what each waits for besides, in ms. */
const [WORK_MS, WAIT_MS] = [4, 50];
/** Over so many ms a machine's report looks back. */
const LOOK_BACK_MS = 1_000;

/** A processor that does one thing after another, and tells how busy it is. */
class Machine {
  served = 0;
  #freeAt = 0;
  #seenAt = 0;
  #busy = 0;
  constructor(
    readonly clock: VirtualClock,
    public speed: number,
  ) {}

  /** Takes a request of `workMs`; gives when it will have been done. */
  work(workMs: number): number {
    const now = this.clock.now();
    this.#look(now);
    this.#freeAt = Math.max(now, this.#freeAt) + workMs / this.speed;
    return this.#freeAt - now;
  }

  get utilization(): number {
    this.#look(this.clock.now());
    return this.#busy;
  }

  #look(now: number): void {
    const elapsed = now - this.#seenAt;
    if (elapsed <= 0) return;
    const share = Math.min(elapsed, Math.max(0, this.#freeAt - this.#seenAt)) / elapsed;
    this.#busy += (share - this.#busy) * (1 - Math.exp(-elapsed / LOOK_BACK_MS));
    this.#seenAt = now;
  }
}

interface FleetOptions {
  readonly speeds: readonly number[];
  readonly loadReports?: boolean | Partial<LoadReportOptions>;
  readonly picker?: Picker;
  /** What a machine says of itself instead of the truth; undefined for nothing. */
  readonly says?: (index: number, utilization: number, now: number) => string | undefined;
  /** Requests per second that others send to a machine. */
  readonly others?: readonly number[];
}

class Fleet {
  readonly clock = new VirtualClock({ seed: 7 });
  readonly machines: readonly Machine[];
  readonly cluster: Cluster;
  readonly #runtime: Runtime = { clock: this.clock };
  readonly #handler;
  readonly #options: FleetOptions;
  asked = 0;
  sent = 0;
  #ms: number[] = [];

  constructor(options: FleetOptions) {
    this.#options = options;
    const { speeds, loadReports = { blackoutMs: 0 }, picker = p2c(), says } = options;
    this.machines = speeds.map((speed) => new Machine(this.clock, speed));
    const origins = speeds.map((_, i) => `http://10.0.0.${i + 1}:8080`);
    this.cluster = new Cluster({ service: 'a', resolver: fixed(origins), runtime: this.#runtime, idleMs: false });
    const truth = (_: number, utilization: number): string => `TEXT cpu_utilization=${utilization.toFixed(3)}`;
    const behave = (call: Call): Step => {
      const index = origins.indexOf(call.endpoint?.id as string);
      const machine = this.machines[index] as Machine;
      const asked = call.headers.includes('x-fairlead-tell');
      const report = asked ? (says ?? truth)(index, machine.utilization, this.clock.now()) : undefined;
      this.sent++;
      if (asked) this.asked++;
      machine.served++;
      const headers = report === undefined ? {} : { 'endpoint-load-metrics': report };
      return reply(200, { headers, afterMs: machine.work(this.#exponential(WORK_MS)) + WAIT_MS });
    };
    this.#handler = compose([balance({ cluster: this.cluster, picker, loadReports })], scripted(behave));
  }

  /** Poisson traffic; gives what each machine got of it, how busy each was at the end, and the latency. */
  async run(perSecond: number, forMs: number) {
    const before = this.machines.map(({ served }) => served);
    this.#ms = [];
    const until = this.clock.now() + forMs;
    const others = (this.#options.others ?? []).map((rate, i) =>
      this.#others(this.machines[i] as Machine, rate, until),
    );
    await this.clock.run(Promise.all([this.#load(perSecond, until), ...others]));
    const served = this.machines.map((machine, i) => machine.served - (before[i] as number));
    const total = served.reduce((a, b) => a + b);
    this.#ms.sort((a, b) => a - b);
    const at = (share: number): number => (this.#ms[Math.floor(this.#ms.length * share)] as number) - WAIT_MS;
    return {
      shares: served.map((each) => each / total),
      busy: this.machines.map(({ utilization }) => utilization),
      weights: this.cluster.members.map(({ weight }) => weight),
      p50: at(0.5),
      p99: at(0.99),
    };
  }

  async #load(perSecond: number, until: number): Promise<void> {
    const under = new Set<Promise<void>>();
    while (this.clock.now() < until) {
      await sleep(this.clock, this.#exponential(1_000 / perSecond));
      const begun = this.clock.now();
      const done: Promise<void> = this.#handler(createCall({ service: 'a', runtime: this.#runtime })).then((got) => {
        this.#ms.push(this.clock.now() - begun);
        discard(got);
        under.delete(done);
      });
      under.add(done);
    }
    await Promise.all(under);
  }

  async #others(machine: Machine, perSecond: number, until: number): Promise<void> {
    if (perSecond === 0) return;
    while (this.clock.now() < until) {
      await sleep(this.clock, this.#exponential(1_000 / perSecond));
      machine.work(this.#exponential(WORK_MS));
    }
  }

  #exponential(mean: number): number {
    return -mean * Math.log(1 - this.clock.random());
  }
}

const even = (values: readonly number[]): number => Math.max(...values) / Math.min(...values);

describe('a fleet that reports its load', () => {
  it.each([
    ['p2c', p2c, 60],
    ['p2c by latency', () => p2c({ cost: 'latency' }), 30],
    ['round robin', roundRobin, 1_000],
  ] as const)('of speeds 1 : 2 : 4 gets its work in these shares, by %s', async (_, picker, before) => {
    const blind = new Fleet({ speeds: [1, 2, 4], picker: picker(), loadReports: false });
    const seeing = new Fleet({ speeds: [1, 2, 4], picker: picker() });
    for (const fleet of [blind, seeing]) await fleet.run(1_000, 8_000);
    // The answers of all three look much the same: what they wait for takes longer than what they do.
    const without = await blind.run(1_000, 6_000);
    const { shares, busy, p99 } = await seeing.run(1_000, 6_000);
    for (const [i, share] of [1 / 7, 2 / 7, 4 / 7].entries()) {
      expect(Math.abs((shares[i] as number) - share)).toBeLessThan(0.03);
    }
    expect(even(busy)).toBeLessThan(1.35);
    expect(p99).toBeLessThan(25);
    expect(without.p99).toBeGreaterThan(before);
  });

  it('leaves a machine alone that is busy for others', async () => {
    const options = { speeds: [1, 1, 1, 1], others: [150, 0, 0, 0] };
    const blind = new Fleet({ ...options, loadReports: false });
    const seeing = new Fleet(options);
    for (const fleet of [blind, seeing]) await fleet.run(500, 8_000);
    const [without, { busy, p99 }] = [await blind.run(500, 6_000), await seeing.run(500, 6_000)];
    expect(without.busy[0]).toBeGreaterThan(0.85);
    expect(busy[0]).toBeLessThan(0.7);
    expect(p99).toBeLessThan(0.55 * without.p99);
  });

  it('notices when a neighbour takes the processor, and when it is given back', async () => {
    const fleet = new Fleet({ speeds: [1, 1, 1] });
    await fleet.run(400, 5_000);
    const [machine] = fleet.machines as [Machine];
    machine.speed = 0.4;
    await fleet.run(400, 8_000);
    const stolen = await fleet.run(400, 5_000);
    expect(Math.abs((stolen.shares[0] as number) - 0.4 / 2.4)).toBeLessThan(0.05);
    machine.speed = 1;
    await fleet.run(400, 8_000);
    const given = await fleet.run(400, 5_000);
    expect(Math.abs((given.shares[0] as number) - 1 / 3)).toBeLessThan(0.05);
  });

  it('stays even where it is, busy or all but idle', async () => {
    for (const perSecond of [5, 50, 600]) {
      const fleet = new Fleet({ speeds: [1, 1, 1, 1] });
      await fleet.run(perSecond, 30_000);
      const { weights } = await fleet.run(perSecond, 30_000);
      expect(even(weights)).toBeLessThan(1.5);
    }
  });

  it('is asked once a second each, whatever the traffic', async () => {
    const fleet = new Fleet({ speeds: [2, 2, 2] });
    await fleet.run(900, 10_000);
    expect(fleet.asked).toBeLessThanOrEqual(33);
    expect(fleet.sent).toBeGreaterThan(8_000);
  });
});

describe('a fleet in which one', () => {
  const truth = (utilization: number): string => `TEXT cpu_utilization=${utilization.toFixed(3)}`;
  const shareOf = async (says: FleetOptions['says'], loadReports = { blackoutMs: 0 }): Promise<number> => {
    const fleet = new Fleet({ speeds: [1, 1, 1, 1, 1], says, loadReports });
    await fleet.run(500, 8_000);
    return (await fleet.run(500, 6_000)).shares[0] as number;
  };

  it.each([
    ['always says that it is idle', 'TEXT cpu_utilization=0', 0.2, 0.51],
    ['says that it is busy beyond all measure', 'TEXT cpu_utilization=1e300', 0.05, 0.2],
    ['says less than nothing', 'TEXT cpu_utilization=-5', 0.18, 0.22],
    ['says no number', 'TEXT cpu_utilization=NaN, application_utilization=NaN', 0.18, 0.22],
    ['says nothing that makes sense', 'BIN ?', 0.18, 0.22],
    ['writes 10 KB', `TEXT cpu_utilization=0.1, ${'x'.repeat(10_000)}=1`, 0.18, 0.22],
    ['says nothing', undefined, 0.18, 0.22],
  ])('%s gets neither everything nor nothing', async (_, lie, least, most) => {
    const share = await shareOf((index, utilization) => (index === 0 ? lie : truth(utilization)));
    expect(share).toBeGreaterThan(least);
    // At most maxFactor times as much as each of the others: 4 of 8.
    expect(share).toBeLessThan(most);
  });

  it('lies wildly, now this and now that, does not change what the others get of the rest', async () => {
    let seed = 1;
    const wild = (): string => `TEXT cpu_utilization=${(seed = (seed * 48_271) % 2_147_483_647) / 2 ** 31}`;
    const fleet = new Fleet({
      speeds: [1, 1, 1, 1, 1],
      says: (index, utilization) => (index === 0 ? wild() : truth(utilization)),
    });
    await fleet.run(500, 8_000);
    const { shares } = await fleet.run(500, 6_000);
    expect(even(shares.slice(1))).toBeLessThan(1.2);
    expect(shares[0]).toBeGreaterThan(0.05);
    expect(shares[0]).toBeLessThan(0.51);
  });

  it('is the only one that reports is treated like the others', async () => {
    const share = await shareOf((index) => (index === 0 ? 'TEXT cpu_utilization=0.9' : undefined));
    expect(share).toBeCloseTo(0.2, 1);
  });

  it('stops reporting gets its usual share again', async () => {
    const fleet = new Fleet({
      speeds: [4, 4, 4],
      loadReports: { expireMs: 5_000, blackoutMs: 0 },
      says: (index, _, now) => (index === 0 && now > 20_000 ? undefined : truth(index === 0 ? 0.9 : 0.3)),
    });
    await fleet.run(300, 19_000);
    expect(fleet.cluster.members[0]?.weight).toBeLessThan(0.3);
    await fleet.run(300, 8_000);
    expect(fleet.cluster.members[0]?.weight).toBe(1);
    expect((await fleet.run(300, 5_000)).shares[0]).toBeCloseTo(1 / 3, 1);
  });
});
