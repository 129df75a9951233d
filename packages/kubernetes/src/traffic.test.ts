/**
 * Would catch: anything in which a real API server differs from what its documentation lets one expect. The files in
 * `traffic/` were recorded from a Kubernetes API server (v1.36, real controllers and RBAC); here each exchange is played
 * byte for byte, in the reads in which it came, with the end that it had.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createEndpoint, type ReplyHeaders, type ResolverUpdate, Scope, systemClock } from '@fairlead/core';
import { countResources } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { httpHandler } from '../test/http-handler.js';
import { type KubernetesOptions, kubernetes } from './index.js';

interface Exchange {
  readonly request: { readonly path: string };
  readonly response?: {
    readonly status: number;
    readonly headers: ReplyHeaders;
    readonly body?: string;
    readonly lines?: readonly { readonly line: string }[];
    readonly chunks: readonly (readonly [ms: number, bytes: number])[];
  };
  readonly end: { readonly how: string };
}

function traffic(name: string): Exchange[] {
  return JSON.parse(readFileSync(new URL(`traffic/${name}.json`, import.meta.url), 'utf8')).exchanges;
}

/** A list that nobody recorded, to begin with. */
function made(version: string, ...items: unknown[]): Exchange {
  const body = JSON.stringify({ metadata: { resourceVersion: version }, items });
  return {
    request: { path: '' },
    response: { status: 200, headers: {}, body, chunks: [[0, Buffer.byteLength(body)]] },
    end: { how: 'end (complete body)' },
  };
}

function play({ response, end }: Exchange, to: ServerResponse): void {
  if (response === undefined) return void to.socket?.resetAndDestroy();
  const { status, headers, body, lines = [], chunks } = response;
  const bytes = Buffer.from(body ?? lines.map(({ line }) => `${line}\n`).join(''));
  to.writeHead(status, headers as Record<string, string>).flushHeaders();
  expect(chunks.reduce((sum, [, size]) => sum + size, 0)).toBe(bytes.length);
  let at = 0;
  let chunk = 0;
  // One write after the other: Node 26 puts those of one turn into one HTTP chunk. Of each chunk the client's parser makes
  // a read of its own.
  const next = (): void => {
    const [, size] = chunks[chunk++] ?? [0, 0];
    if (size > 0) to.write(bytes.subarray(at, (at += size)), next);
    else if (end.how === 'response error') to.write('', () => to.socket?.resetAndDestroy());
    else to.end();
  };
  next();
}

/** A Service as the resolver tells it, against a server that plays `exchanges`, one for each request, then falls silent. */
class Session {
  readonly paths: URL[] = [];
  readonly tokens: (string | undefined)[] = [];
  readonly updates: ResolverUpdate[] = [];
  readonly scope: Scope = new Scope(systemClock);
  readonly #server: Server;
  #changed = (): void => {};

  constructor(readonly exchanges: Exchange[]) {
    this.#server = createServer((incoming, outgoing) => {
      // What was recorded begins with lists.
      if (incoming.url?.includes('sendInitialEvents')) return void outgoing.writeHead(422).end();
      this.paths.push(new URL(incoming.url as string, 'http://api.invalid'));
      this.tokens.push(incoming.headers.authorization);
      const next = this.exchanges.shift();
      if (next !== undefined) play(next, outgoing);
      this.#changed();
    });
  }

  async start(options: Partial<KubernetesOptions> = {}): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.address() as AddressInfo;
    let asked = -1;
    const server = createEndpoint(`http://127.0.0.1:${port}`);
    const access = { server, ca: null, namespace: 'prod', token: () => `token-${++asked}` };
    const short = { minBackoffMs: 1, maxBackoffMs: 5, spreadMs: 5 };
    const resolver = kubernetes({
      service: 'ledger',
      port: 'http',
      access,
      handler: httpHandler,
      ...short,
      ...options,
    });
    resolver.watch((update) => void this.updates.push(update), this.scope, { clock: systemClock });
    return this;
  }

  /** Waits until every exchange was played and the request after the last has come. */
  async played(): Promise<this> {
    const all = this.exchanges.length + this.paths.length + 1;
    await new Promise<void>((resolve) => {
      this.#changed = () => this.paths.length >= all && resolve();
      this.#changed();
    });
    return this;
  }

  async stop(): Promise<void> {
    this.scope.cancel();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Last part of the address of each endpoint, in order; errors as they are. */
  get told(): unknown[] {
    return this.updates.map((update) => ('error' in update ? update.error.message : hosts(update)));
  }
}

function hosts(update: ResolverUpdate): string {
  if ('error' in update) return update.error.message;
  return update.endpoints
    .map(({ origin }) => /(\d+)\]?(:\d+)?$/.exec(origin)?.[1])
    .sort((a, b) => Number(a) - Number(b))
    .join(' ');
}

/** There are no slices at all. */
const nothing: unknown = expect.stringContaining('no EndpointSlices');

let session: Session | null = null;

async function replay(exchanges: Exchange[], options: Partial<KubernetesOptions> = {}): Promise<Session> {
  session = new Session(exchanges);
  return (await session.start(options)).played();
}

afterEach(async () => {
  await session?.stop();
  session = null;
});

describe('traffic of a real API server', () => {
  it('lists by service: each pod once though it is in an IPv4 and an IPv6 slice, conditions absent, zones, hints', async () => {
    const { updates, paths, tokens } = await replay(traffic('list-by-service'));
    const [first] = updates as { endpoints: readonly { origin: string; zone: string; attributes: object }[] }[];
    expect(first?.endpoints.map(({ origin }) => origin)).toEqual([
      ...['10.1.0.11', '10.1.0.12', '10.1.0.15', '10.1.0.17'].map((host) => `http://${host}:8080`),
    ]);
    const hints = { zones: ['zone-b', 'zone-c'], nodes: [] };
    const attributes = { node: 'node-b', pod: 'payments-1', hints, terminating: false };
    expect(first?.endpoints[1]).toMatchObject({ zone: 'zone-b', attributes });
    expect(paths[0]?.pathname).toBe('/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices');
    expect(Object.fromEntries(paths[0]?.searchParams ?? [])).toEqual({
      labelSelector: 'kubernetes.io/service-name=ledger',
      limit: '500',
    });
    const { timeoutSeconds, ...rest } = Object.fromEntries(paths[1]?.searchParams ?? []);
    expect(Number(timeoutSeconds)).toBeGreaterThanOrEqual(240);
    expect(Number(timeoutSeconds)).toBeLessThanOrEqual(300);
    expect(rest).toMatchObject({ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: '1567' });
    expect(tokens).toEqual(['Bearer token-1', 'Bearer token-2']);
  });

  it('joins the pages of a list, and tells nothing before the last', async () => {
    const { told, paths } = await replay(traffic('list-chunks'), { port: 9090, pageSize: 2 });
    expect(told).toEqual(['11 12 15 17 18']);
    const [, second, third, watch] = paths.map(({ searchParams }) => searchParams);
    expect(second?.get('continue')).toMatch(/^eyJ2I/);
    expect(third?.get('continue')).not.toBe(second?.get('continue'));
    expect(watch?.get('resourceVersion')).toBe('1568');
  });

  it('begins a list anew that expired between two pages (HTTP 410)', async () => {
    const [expired] = traffic('expired-410') as [Exchange];
    const [page1, page2, page3] = traffic('list-chunks') as [Exchange, Exchange, Exchange];
    const { told, paths } = await replay([page1, expired, page1, page2, page3]);
    expect(told).toEqual(['11 12 15 17']);
    expect(paths.slice(0, 4).map(({ searchParams }) => searchParams.has('continue'))).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  it('lists again when a version is too old (ERROR event 410), and keeps what it had', async () => {
    const gone = traffic('expired-410')[3] as Exchange;
    const { told, paths } = await replay([...traffic('list-by-service'), gone, ...traffic('list-by-service')]);
    expect(told).toEqual(['11 12 15 17', '11 12 15 17']);
    expect(paths.map(({ searchParams }) => searchParams.has('watch'))).toEqual([false, true, false, true]);
  });

  it('goes on from the last bookmark', async () => {
    const { paths, told } = await replay([made('1568'), ...traffic('watch-timeout-bookmark')]);
    expect(paths[2]?.searchParams.get('resourceVersion')).toBe('1570');
    expect(told).toEqual(['', nothing]);
  });

  it('follows a rolling update and ends where a list ends', async () => {
    const [watch, list] = traffic('controller-rolling-update') as [Exchange, Exchange];
    const { told, paths } = await replay([made('273'), watch]);
    expect(told).toEqual([
      ...['', nothing, '0 1 2', '0 1 2 10', '1 2 10', '1 2 10', '1 2 10 11', '2 10 11', '2 10 11'],
      ...['2 10 11 12', '10 11 12', '10 11 12'],
    ]);
    expect(paths[2]?.searchParams.get('resourceVersion')).toBe('311');
    await session?.stop();
    expect((await replay([list])).told).toEqual(['10 11 12']);
  });

  it('is empty after a scale to zero; before, the last pod serves while it terminates', async () => {
    const [watch, list] = traffic('controller-scale-to-zero') as [Exchange, Exchange];
    expect((await replay([made('1549'), watch])).told).toEqual(['', nothing, '12', '12', '12', '', '50', '50', '']);
    await session?.stop();
    expect((await replay([list])).told).toEqual(['']);
  });

  it('counts an endpoint in two slices once, and keeps it until it has left both', async () => {
    const [watch, list] = traffic('duplicates-across-slices') as [Exchange, Exchange];
    const all = '1 2 3 4';
    expect((await replay([list, watch])).told).toEqual([all, all, '1 2 4', all, all, '1 2', all]);
  });

  it('reads empty lists, null and missing fields', async () => {
    const [watch, list] = traffic('empty-and-null-fields') as [Exchange, Exchange];
    const byName = await replay([made('1663'), watch]);
    expect(byName.told.at(-1)).toBe('5 6 7 8 9');
    await session?.stop();
    expect((await replay([list], { port: 80 })).told.at(-1)).toBe('2 3 4');
    await session?.stop();
    const { updates, told } = await replay([list], { port: 'htpp' });
    expect(updates[0]).toEqual({ endpoints: [] });
    expect(told[1]).toContain('no TCP port htpp in its EndpointSlices; there are: http (8080), grpc (9090)');
  });

  it('keeps its endpoints through 401, 403, 404 and 429, and says what the server said', async () => {
    const [unauthorized] = traffic('auth-401') as [Exchange];
    const forbidden = traffic('auth-403')[1] as Exchange;
    const throttled = traffic('throttled-429')[1] as Exchange;
    const plain = traffic('not-found-404')[0] as Exchange;
    const [list] = traffic('list-by-service') as [Exchange];
    const { told, updates } = await replay([list, unauthorized, forbidden, throttled, plain, list]);
    expect(told).toEqual([
      '11 12 15 17',
      'WATCH of EndpointSlices: 401 Unauthorized',
      expect.stringContaining(
        'mesh-reader" cannot watch resource "endpointslices"'.replace('mesh-reader', 'powerless'),
      ),
      'WATCH of EndpointSlices: 429 Too many requests, please try again later.',
      'WATCH of EndpointSlices: 404 404 page not found',
      '11 12 15 17',
    ]);
    expect(updates.filter((update) => 'endpoints' in update)).toHaveLength(2);
  });

  it('survives a crash: reset, refused, forbidden at first, version too old', async () => {
    const [watch, , reset, , forbidden, , gone] = traffic('restart-sigkill') as Required<Exchange>[];
    const before = made('1878', JSON.parse(watch?.response.lines?.[0]?.line ?? '').object);
    const list = traffic('list-by-service');
    const { told } = await replay([before, watch, reset, forbidden, gone, ...list] as Exchange[]);
    expect(told).toEqual([
      '11 12',
      expect.stringContaining('aborted'),
      expect.stringContaining('ECONNRESET'),
      expect.stringContaining('403'),
      // The watch that says 410 was accepted: there is no trouble any more but that.
      '11 12',
      '11 12 15 17',
    ]);
  });

  it('leaves nothing behind when it is canceled in the middle of a watch', async () => {
    const count = countResources();
    const { scope } = await replay([...traffic('list-by-service')]);
    scope.cancel();
    expect(scope.busy).toBe(false);
    await session?.stop();
    session = null;
    await count.check();
  });
});
