// Catches, over whole fleets in virtual time: an endpoint that fails fast and draws traffic for it, dead endpoints that
// cost more than their first refusal, recovery that does not come, and load that piles up on one endpoint.
import { type Call, compose, createCall, discard, type Picker, type Reply, type Runtime, sleep } from '@fairlead/core';
import { checkLeaks, refuse, reply, type Step, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { balance } from './balance.js';
import { Cluster } from './cluster.js';
import type { HealthOptions } from './endpoint-health.js';
import { p2c } from './p2c.js';
import { fixed } from './resolvers/fixed.js';

interface FleetOptions {
  readonly count: number;
  readonly behave: (index: number, call: Call, clock: VirtualClock) => Step;
  readonly picker?: Picker;
  readonly health?: Partial<HealthOptions>;
  readonly seed?: number;
}

/** A client with open-loop Poisson traffic over a fleet. */
class Fleet {
  readonly clock: VirtualClock;
  readonly cluster: Cluster;
  /** Requests sent, by endpoint. */
  sent: number[];
  failed = 0;
  total = 0;
  /** The most requests that were under way at one endpoint. */
  deepest = 0;
  readonly #runtime: Runtime;
  readonly #handler: (call: Call) => Promise<Reply>;
  readonly #under = new Set<Promise<void>>();

  constructor({ count, behave, picker = p2c(), health = {}, seed = 1 }: FleetOptions) {
    this.clock = new VirtualClock({ seed });
    this.#runtime = { clock: this.clock };
    const origins = Array.from({ length: count }, (_, i) => `http://10.0.0.${i + 1}:8080`);
    this.sent = origins.map(() => 0);
    this.cluster = new Cluster({ service: 'payments', resolver: fixed(origins), runtime: this.#runtime, health });
    const backend = scripted((call) => {
      const index = origins.indexOf(call.endpoint?.id as string);
      (this.sent[index] as number)++;
      this.deepest = Math.max(this.deepest, this.cluster.members[index]?.inFlight ?? 0);
      return behave(index, call, this.clock);
    });
    this.#handler = compose([balance({ cluster: this.cluster, picker })], backend);
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.clock.random());
  }

  async run(perSecond: number, forMs: number): Promise<void> {
    await this.clock.run(this.#load(perSecond, this.clock.now() + forMs));
  }

  restart(): void {
    this.sent = this.sent.map(() => 0);
    this.failed = this.total = this.deepest = 0;
  }

  share(index: number): number {
    return (this.sent[index] as number) / this.total;
  }

  async #load(perSecond: number, until: number): Promise<void> {
    while (this.clock.now() < until) {
      await sleep(this.clock, this.exponential(1_000 / perSecond));
      this.total++;
      const call = callOf(this.#runtime);
      const done: Promise<void> = this.#handler(call).then(
        (got) => {
          if (got.status >= 500) this.failed++;
          discard(got);
        },
        () => {
          this.failed++;
        },
      );
      this.#under.add(done);
      void done.then(() => this.#under.delete(done));
    }
    await Promise.all(this.#under);
  }
}

function callOf(runtime: Runtime): Call {
  return createCall({ service: 'payments', runtime });
}

const quick = (fleet: () => Fleet): Step => reply(200, { afterMs: fleet().exponential(20) });

describe('a fleet', () => {
  it.each([50, 1_000])(
    'gives next to nothing to an endpoint that fails fast, by latency alone, at %i/s',
    async (perSecond) => {
      let sick = true;
      const fleet: Fleet = new Fleet({
        count: 10,
        health: { maxEjectedRatio: 0 },
        picker: p2c({ cost: 'latency' }),
        behave: (index) => (index === 0 && sick ? reply(503, { afterMs: 0.2 }) : quick(() => fleet)),
      });
      await fleet.run(perSecond, 20_000);
      expect(fleet.share(0)).toBeLessThanOrEqual(0.01);
      expect(fleet.failed).toBeLessThanOrEqual(Math.max(3, fleet.total * 0.001));
      // And it comes back to a fair share when it is well again.
      sick = false;
      await fleet.run(perSecond, 30_000);
      fleet.restart();
      await fleet.run(perSecond, 10_000);
      expect(fleet.share(0)).toBeGreaterThan(0.05);
      expect(fleet.share(0)).toBeLessThan(0.2);
    },
    30_000,
  );

  it('loses one attempt to a dead endpoint, and one more whenever it tries whether it is back', async () => {
    const fleet: Fleet = new Fleet({ count: 10, behave: (index) => (index === 3 ? refuse() : quick(() => fleet)) });
    await fleet.run(500, 2_000);
    expect([fleet.failed, fleet.cluster.members[3]?.health.state]).toEqual([1, 'ejected']);
    await fleet.run(500, 28_000);
    // 5, 10, 20, … s with equal jitter: at least 2.5, 5 and 10 s.
    expect(fleet.failed).toBeLessThanOrEqual(4);
  });

  it('ejects both of two dead out of five, and fails by 503 only until the fifth in a row', async () => {
    const dead: Fleet = new Fleet({ count: 5, behave: (index) => (index < 2 ? refuse() : quick(() => dead)) });
    await dead.run(300, 2_000);
    expect(dead.failed).toBe(2);
    const failing: Fleet = new Fleet({ count: 5, behave: (index) => (index < 2 ? reply(503) : quick(() => failing)) });
    await failing.run(300, 2_000);
    expect(failing.failed).toBe(10);
    expect(failing.cluster.members.map((node) => node.health.state === 'ejected')).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('takes an endpoint back with the first request after its time', async () => {
    let dead = true;
    const fleet: Fleet = new Fleet({
      count: 5,
      behave: (index) => (index === 0 && dead ? refuse() : quick(() => fleet)),
    });
    await fleet.run(200, 500);
    const node = fleet.cluster.members[0];
    expect(node?.health.state).toBe('ejected');
    dead = false;
    await fleet.run(200, (node?.health.until ?? 0) - fleet.clock.now() + 500);
    expect(node?.health.state).toBe('healthy');
    fleet.restart();
    await fleet.run(200, 5_000);
    expect(fleet.share(0)).toBeGreaterThan(0.15);
  });

  it('never ejects everybody in an outage, and is whole again soon after', async () => {
    let down = true;
    const fleet: Fleet = new Fleet({ count: 5, behave: () => (down ? refuse() : quick(() => fleet)) });
    await fleet.run(200, 5_000);
    expect(fleet.failed).toBe(fleet.total);
    down = false;
    const longest = Math.max(...fleet.cluster.members.map((node) => node.health.until)) - fleet.clock.now();
    fleet.restart();
    await fleet.run(200, Math.max(0, longest) + 500);
    expect(fleet.failed).toBe(0);
    expect(fleet.cluster.members.every((node) => node.health.state === 'healthy')).toBe(true);
  });

  it('piles up less on one endpoint than chance would', async () => {
    const random: Picker = {
      name: 'random',
      pick: (nodes, call) => nodes[Math.floor(call.runtime.clock.random() * nodes.length)] as (typeof nodes)[number],
    };
    const deepest = async (picker: Picker): Promise<number> => {
      const fleet: Fleet = new Fleet({ count: 20, picker, behave: () => quick(() => fleet) });
      await fleet.run(2_000, 5_000);
      return fleet.deepest;
    };
    const [two, one] = [await deepest(p2c()), await deepest(random)];
    expect(two).toBeLessThan(one);
    expect(two).toBeLessThanOrEqual(6);
  });

  it('leaves nothing behind', async () => {
    const fleet: Fleet = new Fleet({ count: 5, behave: (index) => (index < 2 ? refuse() : quick(() => fleet)) });
    await fleet.run(300, 3_000);
    expect(fleet.cluster.members.map((node) => node.inFlight)).toEqual([0, 0, 0, 0, 0]);
    fleet.cluster.close();
    expect(fleet.cluster.leaving).toBe(0);
    checkLeaks({ clock: fleet.clock });
  });

  it('looks at two nodes for a pick among ten thousand', async () => {
    const clock = new VirtualClock();
    const origins = Array.from({ length: 10_000 }, (_, i) => `http://10.0.${i >> 8}.${i & 255}:8080`);
    const cluster = new Cluster({ service: 'payments', resolver: fixed(origins), runtime: { clock } });
    const picker = p2c();
    const handler = compose([balance({ cluster, picker })], scripted(reply()));
    discard(await handler(callOf({ clock })));
    let looks = 0;
    for (const node of cluster.members) {
      const { endpoint } = node;
      Object.defineProperty(node, 'endpoint', {
        get: () => {
          looks++;
          return endpoint;
        },
      });
    }
    for (let i = 0; i < 20; i++) discard(await handler(callOf({ clock })));
    // The endpoint that is sent to; weights are the nodes' own.
    expect(looks).toBe(20);
  });
});
