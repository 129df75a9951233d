/**
 * Would catch: an endpoint lost or left over after any mix of what a source can do. A model of an API server lives through
 * random histories (slices come, go, and hand endpoints to each other, conditions flip, old versions are forgotten) while
 * its answers are cut, refused, stalled and garbled at random. Whatever is told must have been true at some version, never
 * an earlier one than before; and when the trouble is over, it must be what is true now.
 */
import { type Call, createEndpoint, type ResolverUpdate, Scope } from '@fairlead/core';
import { checkLeaks, Prng, refuse, reply, reset, type Step, scripted, VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { kubernetes } from './index.js';

interface Item {
  readonly addresses: readonly [string];
  readonly conditions: { ready?: boolean; serving?: boolean; terminating?: boolean } | null;
}

interface ModelEvent {
  readonly version: number;
  readonly line: string;
}

const conditions: readonly Item['conditions'][] = [
  ...[null, {}, { ready: true }, { ready: true, serving: true, terminating: false }],
  ...[{ ready: false }, { ready: false, serving: true, terminating: true }, { ready: true, serving: false }],
  { ready: false, serving: false, terminating: true },
];

/** The API server, as one would describe it. */
class Model {
  version = 100;
  /** Versions before this one are forgotten. */
  oldest = 100;
  readonly slices: Map<string, Map<string, Item['conditions']>> = new Map();
  readonly events: ModelEvent[] = [];
  /** Who could be called, at each version from 100 on. */
  readonly truth: string[] = [''];
  /** Lists that are being read page by page: objects by version. */
  readonly snapshots: Map<number, readonly object[]> = new Map();

  constructor(readonly chance: Prng) {}

  below(n: number): number {
    return Math.floor(this.chance.random() * n);
  }

  mutate(): void {
    const names = [...this.slices.keys()];
    const name = `s${this.below(5)}`;
    const slice = this.slices.get(name) ?? new Map<string, Item['conditions']>();
    const known = this.slices.has(name);
    const what = this.below(10);
    if (known && what === 0) {
      this.slices.delete(name);
      this.#commit('DELETED', name, slice);
      return;
    }
    if (known && what === 1) slice.clear();
    else if (known && what < 4) {
      // Half of a move: the other slice has it, or has had it.
      const other = this.slices.get(names[this.below(names.length)] as string);
      for (const [address, state] of [...(other ?? [])].slice(0, 2)) slice.set(address, state);
    } else if (what < 6) for (const address of [...slice.keys()].slice(0, 2)) slice.delete(address);
    else slice.set(`10.0.0.${this.below(12) + 1}`, conditions[this.below(conditions.length)] as Item['conditions']);
    this.slices.set(name, slice);
    this.#commit(known ? 'MODIFIED' : 'ADDED', name, slice);
  }

  #commit(type: string, name: string, slice: Map<string, Item['conditions']>): void {
    this.version++;
    const object = this.#object(name, slice, this.version);
    this.events.push({ version: this.version, line: JSON.stringify({ type, object }) });
    this.truth.push(this.#callable());
    if (this.below(12) === 0) this.oldest = this.version - this.below(4);
  }

  #object(name: string, slice: Map<string, Item['conditions']>, version: number): object {
    const items = [...slice].map(([address, state]): Item => ({ addresses: [address], conditions: state }));
    const endpoints = items.length === 0 ? null : items;
    const ports = endpoints === null ? null : [{ name: 'http', port: 8080 }];
    const metadata = { name, resourceVersion: `${version}`, labels: { note: 'ü-日本-🛟' } };
    return { metadata, addressType: 'IPv4', endpoints, ports };
  }

  #callable(): string {
    const all = [...this.slices.values()].flatMap((slice) => [...slice]);
    const those = (test: (ready: boolean, serving: boolean, terminating: boolean) => boolean): Set<string> =>
      new Set(
        all
          .filter(([, c]) => test(c?.ready ?? true, c?.serving ?? c?.ready ?? true, c?.terminating ?? false))
          .map(([address]) => address),
      );
    const ready = those((ready, serving, terminating) => ready && serving && !terminating);
    const leaving = those((_, serving, terminating) => serving && terminating);
    const published = those((ready) => ready);
    const best = ready.size > 0 ? ready : leaving.size > 0 ? leaving : published;
    return [...best].sort().join(' ');
  }

  page(query: URLSearchParams): Step {
    const limit = Number(query.get('limit'));
    const [given, offset = 0] = (query.get('continue') ?? '').split('/').map(Number);
    const version = query.has('continue') ? (given as number) : this.version;
    if (version < this.oldest) return reply(410, { body: '{"kind":"Status","message":"too old","code":410}' });
    if (!query.has('continue')) {
      this.snapshots.set(
        version,
        [...this.slices].map(([name, slice]) => this.#object(name, slice, version)),
      );
    }
    const items = this.snapshots.get(version) as readonly object[];
    const next = offset + limit;
    const metadata = {
      resourceVersion: `${version}`,
      continue: next < items.length ? `${version}/${next}` : undefined,
    };
    return this.cut(JSON.stringify({ metadata, items: items.slice(offset, next) }), {});
  }

  watch(query: URLSearchParams, ending: string): Step {
    const from = Number(query.get('resourceVersion'));
    const expired = '{"kind":"Status","message":"too old","code":410}';
    if (from < this.oldest && this.below(2) === 0) return reply(410, { body: expired });
    if (from < this.oldest) return reply(200, { body: `{"type":"ERROR","object":${expired}}\n` });
    const left = this.events.filter(({ version }) => version > from);
    const some = ending === 'stall' ? left : left.slice(0, this.below(left.length + 1));
    let text = '';
    let version = from;
    for (const event of some) {
      text += `${event.line}\n`;
      version = event.version;
      if (this.below(4) === 0) text += this.#bookmark(version);
    }
    if (ending === 'error') text += '{"type":"ERROR","object":{"kind":"Status","code":500,"message":"deadline"}}\n';
    if (ending === 'garbage') text += '{"type":"ADDED","obj\u0000\n';
    if (ending === 'stall') text += this.#bookmark(version);
    const pieces = 1 + this.below(6);
    if (ending === 'reset') return this.cut(text, { cutAfter: this.below(pieces + 1) }, pieces);
    return this.cut(text, ending === 'stall' || ending === 'hang' ? { stallAfter: 9 } : {}, pieces);
  }

  /** A watch that begins with what there is; or the refusal of a server that has no such thing. */
  begin(ending: string = ['end', 'early', 'reset', 'stall', 'refused'][this.below(5)] as string): Step {
    if (ending === 'refused')
      return reply([400, 422][this.below(2)] as number, { body: 'sendInitialEvents is forbidden' });
    const lines = [...this.slices].map(([name, slice]) => {
      return `${JSON.stringify({ type: 'ADDED', object: this.#object(name, slice, this.version) })}\n`;
    });
    if (ending === 'early') return this.cut(lines.slice(0, this.below(lines.length + 1)).join(''), {});
    const text = lines.join('') + this.#bookmark(this.version, { 'k8s.io/initial-events-end': 'true' });
    const pieces = 1 + this.below(6);
    if (ending === 'reset') return this.cut(text, { cutAfter: this.below(pieces + 1) }, pieces);
    return this.cut(text, ending === 'stall' ? { stallAfter: 9 } : {}, pieces);
  }

  #bookmark(version: number, annotations?: object): string {
    const metadata = { resourceVersion: `${version}`, annotations };
    return `${JSON.stringify({ type: 'BOOKMARK', object: { metadata, addressType: '', endpoints: null, ports: null } })}\n`;
  }

  /** `text` in pieces that end anywhere, also within a character. */
  cut(text: string, ending: { cutAfter?: number; stallAfter?: number }, pieces: number = 1 + this.below(4)): Step {
    const bytes = new TextEncoder().encode(text);
    const ends = Array.from({ length: pieces - 1 }, () => this.below(bytes.length + 1)).sort((a, b) => a - b);
    const body = [...ends, bytes.length].map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
    return reply(200, { body, betweenMs: this.below(3) * 40, ...ending });
  }

  answer(call: Call): Step {
    const query = new URL(call.path, 'http://api.invalid').searchParams;
    for (let n = this.below(6); n > 0; n--) this.mutate();
    const trouble = this.below(20);
    if (trouble === 0) return refuse();
    if (trouble === 1) return reset({ afterMs: 50 });
    if (trouble === 2) return reply([401, 403, 429, 500, 503, 504][this.below(6)] as number, { body: 'plain text' });
    if (trouble === 3) return this.cut('{"metadata":{"resourceVer', { cutAfter: this.below(3) });
    if (!query.has('watch')) return this.page(query);
    if (query.has('sendInitialEvents')) return this.begin();
    return this.watch(
      query,
      ['end', 'reset', 'hang', 'error', 'garbage', 'end', 'reset', 'end'][this.below(8)] as string,
    );
  }
}

async function live(seed: number, requests: number): Promise<void> {
  const model = new Model(new Prng(seed));
  const clock = new VirtualClock({ seed });
  const scope = new Scope(clock);
  const backend = scripted((call, n) => {
    if (n <= requests) return model.answer(call);
    const query = new URL(call.path, 'http://api.invalid').searchParams;
    if (query.has('sendInitialEvents')) return model.begin('stall');
    return query.has('watch') ? model.watch(query, 'stall') : model.page(query);
  });
  const untrue: string[] = [];
  let reached = 0;
  let last: string | null = null;
  const tell = (update: ResolverUpdate): void => {
    if ('error' in update) return;
    last = update.endpoints
      .map(({ origin }) => origin.slice('http://'.length, -':8080'.length))
      .sort()
      .join(' ');
    while (reached < model.truth.length && model.truth[reached] !== last) reached++;
    if (reached === model.truth.length) untrue.push(last);
  };
  const access = { server: createEndpoint('https://10.96.0.1'), ca: null, namespace: 'prod', token: () => null };
  const resolver = kubernetes({ service: 's', port: 'http', access, handler: backend, pageSize: 1 + (seed % 3) });
  resolver.watch(tell, scope, { clock });
  while (backend.calls.length <= requests) expect(await clock.next()).toBe(true);
  await clock.advance(900_000);
  expect(untrue).toEqual([]);
  expect(last).toBe(model.truth.at(-1));
  scope.cancel();
  checkLeaks({ clock, backend, scopes: [scope] });
}

it('loses no endpoint and keeps none that is gone, through any history', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), (seed) => live(seed, 60)),
    { numRuns: 150, seed: 4 },
  );
}, 60_000);
