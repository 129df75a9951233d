// Catches: a watch for each client instead of one for the process, more streams on a connection than the server allows,
// a connection for each service, a connection that outlives the last client, an API server that is found in no way but one.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ResolverUpdate, Scope, systemClock } from '@fairlead/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { certificate } from '../test/certificate.js';
import { until } from '../test/world.js';
import { Sources } from './sources.js';

let folder = '';
const ends: (() => void | Promise<void>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-apis-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const end of ends.splice(0).reverse()) await end();
  rmSync(folder, { recursive: true });
});

const version = { metadata: { resourceVersion: '7', annotations: { 'k8s.io/initial-events-end': 'true' } } };
const slice = {
  metadata: { name: 'a', resourceVersion: '3' },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.0.0.1'] }],
  ports: [{ name: 'http', port: 8080 }],
};
const initial = `${JSON.stringify({ type: 'ADDED', object: slice })}\n${JSON.stringify({ type: 'BOOKMARK', object: version })}\n`;

/** An API server that speaks HTTP/2, with a limit to the streams of a connection. */
class Api {
  readonly sessions: Set<ServerHttp2Session> = new Set();
  readonly streams: Map<ServerHttp2Session, number> = new Map();
  readonly paths: string[] = [];
  readonly tokens: Set<unknown> = new Set();
  readonly #server: Http2SecureServer;

  constructor(maxConcurrentStreams: number) {
    this.#server = createSecureServer({ ...certificate, settings: { maxConcurrentStreams } });
    this.#server.on('session', (session) => {
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session)).on('error', () => {});
    });
    this.#server.on('stream', (stream: ServerHttp2Stream, headers) => {
      const session = stream.session as ServerHttp2Session;
      this.streams.set(session, (this.streams.get(session) ?? 0) + 1);
      this.paths.push(String(headers[':path']));
      this.tokens.add(headers.authorization);
      stream.on('error', () => {});
      stream.respond({ ':status': 200, 'content-type': 'application/json' });
      stream.write(initial);
    });
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    ends.push(() => {
      for (const session of this.sessions) session.destroy();
      this.#server.close();
    });
    return (this.#server.address() as AddressInfo).port;
  }
}

function writeKubeconfig(server: string): string {
  const file = join(folder, 'config');
  const data = Buffer.from(certificate.cert).toString('base64');
  const config = {
    'current-context': 'dev',
    contexts: [{ name: 'dev', context: { cluster: 'c', user: 'u', namespace: 'prod' } }],
    clusters: [
      { name: 'c', cluster: server.startsWith('https') ? { server, 'certificate-authority-data': data } : { server } },
    ],
    users: [{ name: 'u', user: { token: 'secret' } }],
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

interface Watching {
  readonly scope: Scope;
  readonly updates: ResolverUpdate[];
}

function watch(sources: Sources, source: string): Watching {
  const scope = new Scope(systemClock);
  const updates: ResolverUpdate[] = [];
  sources.schemes.kubernetes?.(source).watch((update) => void updates.push(update), scope, { clock: systemClock });
  ends.push(() => scope.cancel());
  return { scope, updates };
}

const knows = ({ updates }: Watching): boolean =>
  updates.some((each) => 'endpoints' in each && each.endpoints.length === 1);

function sources(): Sources {
  const made = new Sources();
  ends.push(() => made.close());
  return made;
}

describe('the API server of all clients', () => {
  it('sees one watch for each Service, and as few connections as its limit of streams allows', async () => {
    const api = new Api(20);
    vi.stubEnv('KUBECONFIG', writeKubeconfig(`https://127.0.0.1:${await api.start()}`));
    const clients = [sources(), sources(), sources()];
    const all = clients.flatMap((client) =>
      Array.from({ length: 50 }, (_, n) => watch(client, `kubernetes://s${n}${n % 2 === 0 ? '' : '?context=dev'}`)),
    );
    await until(() => all.every(knows), 'every Service known');
    // Two ways to the same server are two, and 25 Services on each need two connections.
    expect(api.sessions.size).toBeLessThanOrEqual(4);
    expect(Math.max(...api.streams.values())).toBeLessThanOrEqual(20);
    expect([api.paths.length, new Set(api.paths.map((path) => path.split('&')[0])).size]).toEqual([50, 50]);
    expect(api.tokens).toEqual(new Set(['Bearer secret']));

    // One client less changes nothing; without the last the connections close.
    for (const { scope } of all.slice(0, 100)) scope.cancel();
    await clients[0]?.close();
    await clients[1]?.close();
    expect(api.sessions.size).toBeGreaterThan(0);
    for (const { scope } of all.slice(100)) scope.cancel();
    await clients[2]?.close();
    await until(() => api.sessions.size === 0, 'no connection left');
    expect(api.paths.length).toBe(50);
  });

  it('is spoken to without HTTP/2 where there is no TLS, as kubectl proxy wants it', async () => {
    const versions: string[] = [];
    const server = createServer((request, response) => {
      versions.push(request.httpVersion);
      response.writeHead(200).write(initial);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => {
      server.closeAllConnections();
      server.close();
    });
    vi.stubEnv('KUBECONFIG', writeKubeconfig(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    const client = sources();
    const all = Array.from({ length: 150 }, (_, n) => watch(client, `kubernetes://s${n}:http`));
    await until(() => all.every(knows), 'every Service known');
    expect(new Set(versions)).toEqual(new Set(['1.1']));
    for (const { scope } of all) scope.cancel();
  });
});
