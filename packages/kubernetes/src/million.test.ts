/**
 * Would catch: an endpoint lost, or kept although it is gone, after anything that may happen between a server and its
 * client while the watch is open: adds, removals, moves between slices in either order, conditions that flip, breaks,
 * clean ends, 410 in both forms, servers that freeze or vanish, refused connections, 403s after a restart, events twice or
 * out of order, bytes one at a time. Each calm in a history is compared with the model.
 *
 * FAIRLEAD_HISTORY_EVENTS=1000000 plays a million events in some minutes; without it a part of them is played.
 */
import { createEndpoint, type ResolverUpdate, Scope } from '@fairlead/core';
import { checkLeaks, Prng, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { ApiNetwork, type Travel } from '../test/api-handler.ts';
import { type After, ApiModel, type ModelEndpoint, status } from '../test/api-model.ts';
import { kubernetes } from './index.js';

const wanted = Number(process.env.FAIRLEAD_HISTORY_EVENTS ?? 10_000);
const perHistory = 2_500;
const histories = Math.max(4, Math.ceil(wanted / perHistory));

const conditions: readonly ModelEndpoint['conditions'][] = [
  ...[null, {}, { ready: true }, { ready: true, serving: true, terminating: false }],
  ...[{ ready: false }, { ready: false, serving: true, terminating: true }, { ready: true, serving: false }],
  { ready: false, serving: false, terminating: true },
];

/** One Service, one server, one client, and a seed. */
class History {
  readonly model = new ApiModel();
  readonly clock: VirtualClock;
  readonly network: ApiNetwork;
  readonly scope: Scope;
  /** What the client believes. */
  told: string | null = null;
  events = 0;
  readonly #prng: Prng;
  /** Whether the store may be restored from a backup, which nothing but a list finds out. Lists hide what watches miss. */
  readonly #restores: boolean;

  constructor(seed: number) {
    this.#restores = seed % 4 === 0;
    this.#prng = new Prng(seed);
    this.clock = new VirtualClock({ seed });
    this.scope = new Scope(this.clock);
    this.network = new ApiNetwork(this.model, () => this.#prng.random());
    this.network.travel = () => this.#travel();
    this.model.initialEvents = this.#one(['known', 'refused', 'unknown'] as const);
    this.model.historyLimit = 100;
    const access = { server: createEndpoint('https://10.96.0.1'), ca: null, namespace: 'prod', token: () => null };
    const { handler } = this.network;
    const relistMs = this.#restores ? 60_000 : 86_400_000;
    const short = { watchSeconds: 20, spreadMs: 5_000, relistMs, requestTimeoutMs: 5_000, maxBackoffMs: 2_000 };
    const all = { service: 's', port: 'http', access, handler, pageSize: 1 + (seed % 4), ...short };
    kubernetes(all).watch((update) => this.#hear(update), this.scope, { clock: this.clock });
  }

  #below(n: number): number {
    return Math.floor(this.#prng.random() * n);
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#below(of.length)] as T;
  }

  #hear(update: ResolverUpdate): void {
    if ('error' in update) return;
    this.told = update.endpoints
      .map(({ origin }) => origin.slice('http://'.length, -':8080'.length))
      .sort()
      .join(' ');
  }

  #travel(): Travel {
    const delayMs = this.#one([0, 0, 20, 500]);
    return { delayMs, pieces: this.#one([1, 1, 2, delayMs === 0 ? Number.POSITIVE_INFINITY : 3]) };
  }

  /** Something changes. */
  #change(): void {
    this.events++;
    const name = `s-${this.#below(6)}`;
    const slice = this.model.slicesOf('s').find((each) => each.name === name);
    const endpoints = new Map(slice?.endpoints.map((each) => [each.addresses[0] as string, each]));
    const what = this.#below(20);
    if (what === 0) {
      this.model.delete(name);
      return;
    }
    if (what === 1) endpoints.clear();
    else if (what < 6) {
      this.#move(name);
      return;
    } else if (what < 9) endpoints.delete(this.#one([...endpoints.keys(), '']));
    else {
      const address = `10.0.0.${1 + this.#below(30)}`;
      endpoints.set(address, { addresses: [address], conditions: this.#one(conditions) });
    }
    // Characters of two, three and four bytes, for reads that end within one.
    const labels = { note: 'ü-日本-🛟' };
    this.model.put({ service: 's', name, labels, endpoints: [...endpoints.values()] });
  }

  /** An endpoint goes to another slice: it is in both for a moment, or in neither. */
  #move(name: string): void {
    const from = this.#one(this.model.slicesOf('s'));
    const moving = from?.endpoints[0];
    if (from === undefined || moving === undefined || from.name === name) return;
    const to = this.model.slicesOf('s').find((each) => each.name === name);
    const [address] = moving.addresses;
    const leave = (): void =>
      this.model.put({ ...from, endpoints: from.endpoints.filter(({ addresses }) => addresses[0] !== address) });
    const arrive = (): void => {
      const others = (to?.endpoints ?? []).filter(({ addresses }) => addresses[0] !== address);
      this.model.put({ service: 's', name, endpoints: [...others, moving] });
    };
    this.events++;
    for (const step of this.#below(2) === 0 ? [leave, arrive] : [arrive, leave]) step();
  }

  #trouble(): void {
    const { model, network } = this;
    const refuse = (code: number): void => void model.refusals.push({ status: code, body: 'plain text' });
    this.#one([
      () => network.breakAll(),
      () => model.endWatches('end'),
      () => model.endWatches('reset'),
      () => model.endWatches(this.#one([410, 500, 504])),
      () => model.compact(),
      () => model.bookmark(),
      () => model.elsewhere(1 + this.#below(50)),
      () => model.repeat(1 + this.#below(8)),
      () => model.outOfOrder(() => [1, 2, 3, 4].forEach(() => void this.#change())),
      () => void (model.frozen = true),
      () => model.thaw(),
      // The process dies: everybody is cut off, nobody gets in, then rights are unknown, and the past is forgotten.
      () => {
        network.breakAll();
        network.refusing = true;
      },
      () => {
        network.refusing = false;
        model.compact();
        for (let n = this.#below(3); n > 0; n--) refuse(403);
      },
      // The node dies: nobody is told.
      () => model.lose(),
      () => {
        refuse(this.#one([401, 404, 429, 500, 503, 504]));
        model.endWatches('end');
      },
      () => {
        model.refusals.push({ status: 410, body: status(410, 'too old') });
        model.endWatches('reset');
      },
      () => {
        if (!this.#restores) return;
        network.breakAll();
        model.restore(1 + this.#below(1_000));
      },
    ])();
  }

  /** Until nothing is wrong any more, and the client has had the time to find out. */
  async calm(): Promise<void> {
    this.network.refusing = false;
    this.model.refusals.length = 0;
    this.model.thaw();
    // A deadline of 30 s for a watch that nobody serves, a list at the end of the next one after a minute, and waits.
    await this.clock.advance(150_000);
  }

  async play(events: number): Promise<void> {
    while (this.events < events) {
      const until = this.events + 250;
      while (this.events < until) {
        for (let n = this.#below(12); n >= 0; n--) this.#change();
        if (this.#below(4) === 0) this.#trouble();
        const pause = this.#below(10);
        if (pause > 0) await this.clock.advance(pause < 9 ? pause * 5 : this.#below(20_000));
      }
      await this.calm();
      expect(this.told).toBe(this.truth());
    }
  }

  truth(): string {
    const all = this.model.slicesOf('s').flatMap(({ endpoints }) => endpoints);
    const those = (test: (ready: boolean, serving: boolean, terminating: boolean) => boolean): Set<string> =>
      new Set(
        all
          .filter(({ conditions: c }) =>
            test(c?.ready ?? true, c?.serving ?? c?.ready ?? true, c?.terminating ?? false),
          )
          .map(({ addresses }) => addresses[0] as string),
      );
    const ready = those((ready, serving, terminating) => ready && serving && !terminating);
    const leaving = those((_, serving, terminating) => serving && terminating);
    const best = ready.size > 0 ? ready : leaving.size > 0 ? leaving : those((ready) => ready);
    return [...best].sort().join(' ');
  }

  end(): void {
    this.scope.cancel();
    expect(this.network.open.size).toBe(0);
    expect(this.model.watching).toBe(0);
    checkLeaks({ clock: this.clock, scopes: [this.scope] });
  }
}

async function live(seed: number): Promise<number> {
  const history = new History(seed);
  try {
    await history.play(perHistory);
    history.end();
    return history.events;
  } catch (error) {
    throw new Error(`seed ${seed}, after ${history.events} events: ${(error as Error).message}`, { cause: error });
  }
}

describe(`${wanted} events`, () => {
  it('leave no endpoint out and none behind', async () => {
    let events = 0;
    for (let seed = 1; seed <= histories; seed++) events += await live(seed);
    expect(events).toBeGreaterThanOrEqual(Math.min(wanted, perHistory * histories));
  }, 3_600_000);
});

/** The model is not under test, but everything above stands on it. */
describe('the model', () => {
  const never: After = () => () => {};
  const path =
    '/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Ds';

  function ask(model: ApiModel, query: string): string[] {
    const got: string[] = [];
    const wire = {
      head: (code: number) => void got.push(`${code}`),
      write: (text: string) => void got.push(text),
      end: () => void got.push('end'),
      reset: () => void got.push('reset'),
    };
    model.request(`${path}&${query}`, wire, never);
    return got;
  }

  it('lists in pages that belong to one version', () => {
    const model = new ApiModel();
    for (const name of ['a', 'b', 'c']) model.put({ service: 's', name, endpoints: [] });
    const first = JSON.parse(ask(model, 'limit=2')[1] as string);
    model.delete('c');
    const second = JSON.parse(ask(model, `limit=2&continue=${first.metadata.continue}`)[1] as string);
    expect([...first.items, ...second.items].map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c']);
    expect(second.metadata).toEqual({ resourceVersion: '1003' });
    model.compact();
    expect(ask(model, `limit=2&continue=${first.metadata.continue}`)[0]).toBe('410');
  });

  it('watches from a version on, or says that it is too old', () => {
    const model = new ApiModel();
    model.put({ service: 's', name: 'a', endpoints: [] });
    model.put({ service: 'other', name: 'x', endpoints: [] });
    const got = ask(model, 'watch=true&resourceVersion=1000');
    model.delete('a');
    expect(got.slice(1).map((text) => JSON.parse(text).type)).toEqual(['ADDED', 'DELETED']);
    model.compact();
    expect(ask(model, 'watch=true&resourceVersion=1001')).toEqual(['200', expect.stringContaining('410'), 'end']);
  });
});
