/** @module The kinds of calls that are compared, each made the same way by bare undici and by a client with everything on. */
import { Writable } from 'node:stream';
import { type BodySink, type Client, createCall, systemClock } from 'fairlead';
import type { Pool } from 'undici';

/** The same call, made in two ways. */
export interface Comparison {
  readonly name: string;
  /** Which of the servers it asks. */
  readonly protocol: 'http' | 'https' | 'http2';
  /** How many of these calls are under way at a time. */
  readonly width: number;
  /** Calls in one round. */
  readonly perRound: number;
  /** What of undici it is made with. */
  readonly floor: 'Pool.request' | 'Pool.stream';
  readonly bare: (pool: Pool) => Promise<unknown>;
  readonly ours: (client: Client) => Promise<unknown>;
}

const MiB = 1 << 20;
const PIECE = 1 << 16;
const large = Buffer.alloc(MiB, 97);
const piece = large.subarray(0, PIECE);
const many: Record<string, string> = Object.fromEntries(
  Array.from({ length: 60 }, (_, i) => [`x-header-${i}`, `value ${i} of a usual length`]),
);
const binary = { 'content-type': 'application/octet-stream' };
const service = 'http://payments';

async function* pieces(): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < MiB; sent += PIECE) yield piece;
}

/** Reads to the end, and makes sure that all of it came. */
async function count(body: AsyncIterable<Uint8Array> | null): Promise<void> {
  let bytes = 0;
  for await (const chunk of body ?? []) bytes += chunk.length;
  if (bytes !== MiB) throw new Error(`${bytes} bytes came`);
}

const smallCalls = { width: 32, perRound: 3_000, floor: 'Pool.request' } as const;
const largeCalls = { width: 8, perRound: 150, floor: 'Pool.request' } as const;

function getJson(path: string): Pick<Comparison, 'bare' | 'ours'> {
  return {
    bare: async (pool) => (await pool.request({ path, method: 'GET' })).body.json(),
    ours: async (client) => (await client.fetch(service + path)).json(),
  };
}

export const comparisons: readonly Comparison[] = [
  { name: '10 KB JSON', protocol: 'http', ...smallCalls, ...getJson('/list') },
  {
    name: '60 headers each way',
    protocol: 'http',
    ...smallCalls,
    bare: async (pool) => {
      const { headers, body } = await pool.request({ path: '/headers', method: 'GET', headers: many });
      return [headers['x-header-7'], await body.json()];
    },
    ours: async (client) => {
      const response = await client.fetch(`${service}/headers`, { headers: many });
      return [response.headers.get('x-header-7'), await response.json()];
    },
  },
  {
    name: '1 MiB down',
    protocol: 'http',
    ...largeCalls,
    bare: async (pool) => (await pool.request({ path: '/large', method: 'GET' })).body.arrayBuffer(),
    ours: async (client) => (await client.fetch(`${service}/large`)).arrayBuffer(),
  },
  {
    name: '1 MiB up',
    protocol: 'http',
    ...largeCalls,
    bare: async (pool) =>
      (await pool.request({ path: '/small', method: 'PUT', headers: binary, body: large })).body.json(),
    ours: async (client) =>
      (await client.fetch(`${service}/small`, { method: 'PUT', headers: binary, body: large })).json(),
  },
  {
    name: '1 MiB each way, in pieces, read with for await',
    protocol: 'http',
    ...largeCalls,
    bare: async (pool) =>
      count((await pool.request({ path: '/large', method: 'PUT', headers: binary, body: pieces() as never })).body),
    ours: async (client) => {
      const init = { method: 'PUT', headers: binary, body: pieces(), duplex: 'half' } as const;
      return count((await client.fetch(`${service}/large`, init)).body);
    },
  },
  {
    name: '1 MiB each way, in pieces, pushed to a sink',
    protocol: 'http',
    ...largeCalls,
    floor: 'Pool.stream',
    bare: async (pool) => {
      let bytes = 0;
      const write = (chunk: Uint8Array, _: unknown, done: () => void): void => {
        bytes += chunk.length;
        done();
      };
      const options = { path: '/large', method: 'PUT', headers: binary, body: pieces() as never } as const;
      await pool.stream(options, () => new Writable({ write }));
      if (bytes !== MiB) throw new Error(`${bytes} bytes came`);
    },
    ours: async (client) => {
      const call = createCall({
        service: 'payments',
        runtime: { clock: systemClock },
        method: 'PUT',
        path: '/large',
        headers: ['content-type', 'application/octet-stream'],
        body: { open: pieces },
      });
      const reply = await client.handler('payments')(call);
      const bytes = await new Promise<number>((resolve, reject) => reply.body.attach(new Counter(resolve, reject)));
      call.scope.close();
      if (bytes !== MiB) throw new Error(`${bytes} bytes came`);
    },
  },
  { name: 'small JSON over TLS', protocol: 'https', ...smallCalls, ...getJson('/small') },
  { name: '10 KB JSON over TLS', protocol: 'https', ...smallCalls, ...getJson('/list') },
  { name: 'small JSON over HTTP/2', protocol: 'http2', ...smallCalls, perRound: 1_500, ...getJson('/small') },
];

class Counter implements BodySink {
  bytes = 0;
  readonly onError: (error: unknown) => void;
  readonly #done: (bytes: number) => void;

  constructor(done: (bytes: number) => void, failed: (error: unknown) => void) {
    this.#done = done;
    this.onError = failed;
  }
  onData(chunk: Uint8Array): void {
    this.bytes += chunk.length;
  }
  onEnd(): void {
    this.#done(this.bytes);
  }
}
