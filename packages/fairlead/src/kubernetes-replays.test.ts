// Catches: any answer of a real Kubernetes API server after which the endpoints are not what they should be. Every
// exchange that was recorded is played byte for byte to the resolver, through the transport that a client uses, over
// HTTP/1.1, TLS and HTTP/2; what is expected is worked out from the objects in it by the rules of the API, on its own.
import { createEndpoint, type ResolverUpdate, Scope, systemClock } from '@fairlead/core';
import { kubernetes } from '@fairlead/kubernetes';
import { createTransport, type Transport } from '@fairlead/transport';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificate } from '../test/certificate.js';
import {
  type Exchange,
  type Outgoing,
  type Protocol,
  play,
  ReplayServer,
  recorded,
  recordings,
  say,
} from '../test/replay-server.js';
import { until } from '../test/world.js';

interface SliceObject {
  readonly kind?: string;
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
  readonly addressType: string;
  readonly endpoints:
    | readonly {
        readonly addresses: readonly string[];
        readonly targetRef?: { readonly name?: string };
        readonly conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean } | null;
      }[]
    | null;
  readonly ports: readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[] | null;
}
type Slices = ReadonlyMap<string, SliceObject>;

/** Who is there before: whoever loses it has believed something that was no answer. */
const seed: SliceObject = {
  metadata: { name: 'seed-00000', resourceVersion: '1' },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.99.0.1'] }],
  ports: null,
};
const seeded: Slices = new Map([[seed.metadata.name, seed]]);

/** The rules of the API, written down a second time. A pod that has addresses of both families counts once, as IPv4. */
function callable(slices: Slices, port: string | number): string {
  const all = new Map<string, { rank: number; pod: string | undefined; v6: boolean }>();
  for (const { metadata, addressType, endpoints, ports } of slices.values()) {
    if (addressType === 'FQDN') continue;
    const own = metadata.name === seed.metadata.name ? [{ name: port, port: 8080 }] : (ports ?? []);
    const found = own.find((each) => each.name === port || each.port === port);
    if (found?.port === undefined || found.port < 1 || found.port > 65_535) continue;
    for (const { addresses, conditions, targetRef } of endpoints ?? []) {
      const ready = conditions?.ready ?? true;
      const serving = conditions?.serving ?? ready;
      const terminating = conditions?.terminating ?? false;
      const rank = ready && serving && !terminating ? 0 : serving && terminating ? 1 : ready ? 2 : 3;
      const v6 = addressType === 'IPv6';
      const id = `${v6 ? `[${addresses[0]}]` : addresses[0]}:${found.port}`;
      if (rank < (all.get(id)?.rank ?? 3)) all.set(id, { rank, pod: targetRef?.name, v6 });
    }
  }
  const best = Math.min(...[...all.values()].map(({ rank }) => rank));
  const there = [...all].filter(([, { rank }]) => rank === best);
  const twice = (pod: string | undefined): boolean => there.some(([, each]) => !each.v6 && pod && each.pod === pod);
  return there
    .filter(([, { v6, pod }]) => !(v6 && twice(pod)))
    .map(([id]) => id)
    .sort()
    .join(' ');
}

function isWatch({ request: { path } }: Exchange): boolean {
  return /[?&]watch=/.test(path);
}

/** What is there after each line of a watch, or after a list; nothing new if it is neither. */
function states({ response }: Exchange): Slices[] {
  if (response?.status !== 200 || response.bodyLength !== undefined) return [];
  if (response.lines !== undefined) {
    const all: Slices[] = [];
    let now = seeded;
    for (const { line, lineLength } of response.lines) {
      if (lineLength !== undefined) break;
      const { type, object } = JSON.parse(line) as { type: string; object: SliceObject };
      if (type === 'ERROR') break;
      if (type === 'BOOKMARK') continue;
      const next = new Map(now);
      if (type === 'DELETED') next.delete(object.metadata.name);
      else next.set(object.metadata.name, object);
      all.push((now = next));
    }
    return all;
  }
  const list = read(response.body ?? '');
  return list?.kind === 'EndpointSliceList' ? [new Map(list.items?.map((each) => [each.metadata.name, each]))] : [];
}

function read(text: string): { kind?: string; items?: SliceObject[]; metadata?: { continue?: string } } | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A port that the recording has, if it has any. */
function portOf(exchange: Exchange): string | number {
  const all = states(exchange).flatMap((slices) => [...slices.values()].flatMap(({ ports }) => ports ?? []));
  return all.find(({ name, protocol }) => name && (protocol ?? 'TCP') === 'TCP')?.name ?? all[0]?.port ?? 'http';
}

function json(to: Outgoing, body: unknown): void {
  say(to, 200, 'application/json', `${JSON.stringify(body)}\n`);
}

/** Plays: the list with the seed, then the exchange to a request of its own kind, then nothing more. */
class Replay {
  readonly told: string[] = [];
  /** Its end, if it has one, may still be to come. */
  played = false;
  /** The request after the exchange has come: all of it has been dealt with. */
  over = false;
  #step = 0;

  constructor(
    readonly exchange: Exchange,
    readonly port: string | number,
  ) {}

  request({ searchParams: query }: URL, to: Outgoing): void {
    // As a server does that has never heard of it.
    if (query.has('sendInitialEvents')) {
      say(to, 422, 'text/plain', 'sendInitialEvents is forbidden');
      return;
    }
    const step = this.#step++;
    const watches = isWatch(this.exchange);
    const ports = [{ name: `${this.port}`, port: 8080 }];
    const made = (...items: object[]): void =>
      json(to, { kind: 'EndpointSliceList', metadata: { resourceVersion: '1' }, items });
    if (step === 0) made(typeof this.port === 'number' ? { ...seed, ports: [{ port: 8080 }] } : { ...seed, ports });
    else if (step === 1 && !watches) json(to, { type: 'ERROR', object: { kind: 'Status', code: 410 } });
    else if (step === (watches ? 1 : 2)) {
      this.played = true;
      play(this.exchange, to);
    } else if (query.has('continue')) made();
    else this.over = true;
  }

  hear(update: ResolverUpdate): void {
    if (!('error' in update)) {
      // An origin does not say the port that goes without saying.
      const origins = update.endpoints.map(({ origin }) =>
        origin.replace(/^http:\/\//, '').replace(/^[^:]+$/, '$&:80'),
      );
      this.told.push(origins.sort().join(' '));
    }
  }
}

// Bodies that were left out of the recordings, and a command line instead of an answer.
const unplayable = (exchange: Exchange): boolean =>
  'bodyNote' in (exchange.response ?? {}) || 'summary' in (exchange.response ?? {});

it('has everything that was recorded', () => {
  expect(recordings).toHaveLength(61);
  const exchanges = recordings.flatMap((name) => recorded(name));
  expect(exchanges).toHaveLength(241);
  expect(exchanges.filter(unplayable)).toHaveLength(3);
});

describe.each<Protocol>(['HTTP/1.1', 'HTTP/1.1 over TLS', 'HTTP/2 over TLS'])('over %s', (protocol) => {
  const server = new ReplayServer(protocol);
  let transport: Transport;
  let origin: string;
  let replays = 0;

  beforeAll(async () => {
    origin = await server.listen();
    transport = createTransport({ http2: protocol.startsWith('HTTP/2'), tls: { ca: certificate.cert } });
  });
  afterAll(async () => {
    await transport.close(0);
    await server.close();
  });

  async function replay(exchange: Exchange): Promise<void> {
    const port = portOf(exchange);
    const session = new Replay(exchange, port);
    // A request of the one before may still be on its way.
    const namespace = `n-${++replays}`;
    server.script = (url, to) => url.pathname.includes(`/${namespace}/`) && session.request(url, to);
    const access = { server: createEndpoint(origin), ca: null, namespace, token: () => 'token' };
    const scope = new Scope(systemClock);
    const short = { minBackoffMs: 1, maxBackoffMs: 5 };
    const { handler } = transport;
    const resolver = kubernetes({ service: 's', port, access, handler, ...short });
    resolver.watch((update) => session.hear(update), scope, { clock: systemClock });
    const truth = [seeded, ...states(exchange)].map((slices) => callable(slices, port));
    const open = exchange.end.how === 'client aborted' && exchange.response !== undefined;
    const what = (): string => `${exchange.request.path}: ${session.told.at(-1)} instead of ${truth.at(-1)}`;
    try {
      await until(
        () => session.over || (open && session.played && session.told.at(-1) === truth.at(-1)),
        'the request after',
      );
    } catch (cause) {
      throw new Error(what(), { cause });
    } finally {
      scope.cancel();
    }
    expect(session.told.at(-1), what()).toBe(truth.at(-1));
    // Nothing was told on the way that was not so at some time.
    let reached = 0;
    for (const told of session.told) {
      while (reached < truth.length && truth[reached] !== told) reached++;
      expect(truth[reached], what()).toBe(told);
    }
  }

  it.each(recordings)('%s', async (name) => {
    for (const exchange of recorded(name)) if (!unplayable(exchange)) await replay(exchange);
  });
});
