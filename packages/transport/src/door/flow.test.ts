/**
 * Catches a door that keeps what its caller or an endpoint is too slow to take: 100 MiB in each direction, with the bytes
 * that this process holds counted on its own sockets at every chunk, so that what the system holds does not matter.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { undici } from '../../test/door.js';
import { doorSite } from '../../test/door-site.js';
import { nextTurn } from '../../test/servers.js';
import type { Dispatcher } from '../undici.js';

const { over, http } = doorSite();
const chunk = Buffer.alloc(65_536);
const chunks = 1_600;
const total = chunk.length * chunks;
/** What is being parsed, what is kept until somebody comes, and what streams of the caller's own keep: a few chunks. */
const few = 8 * chunk.length;

/** The client's end of the connection that the last request went out on. */
let connection: Socket | null = null;
const onSent = (message: unknown): void => void ({ socket: connection } = message as { socket: Socket });
beforeEach(() => {
  connection = null;
  subscribe('undici:client:sendHeaders', onSent);
});
afterEach(() => {
  unsubscribe('undici:client:sendHeaders', onSent);
});

/** Ways to send and to get the body as a stream. */
const ways: [string, (door: Dispatcher, body?: Readable) => Promise<AsyncIterable<Uint8Array>>][] = [
  [
    'undici.request',
    async (dispatcher, body) =>
      (await undici.request('http://svc/', { dispatcher, ...(body && { method: 'PUT', body }) })).body,
  ],
  ...[undici.fetch as never as typeof fetch, globalThis.fetch].map((fetch, n): (typeof ways)[0] => [
    n === 0 ? "npm's fetch" : 'the built-in fetch',
    async (dispatcher, body) => {
      const sent = body && { method: 'PUT', body: Readable.toWeb(body), duplex: 'half' };
      return (await fetch('http://svc/', { dispatcher, ...sent } as never)).body as ReadableStream<Uint8Array>;
    },
  ]),
];

/** Writes 100 MiB, each piece as soon as there is room. */
async function pour(response: ServerResponse): Promise<void> {
  for (let n = 0; n < chunks; n++) if (!response.write(chunk)) await once(response, 'drain');
  response.end();
}

describe.each(ways)('%s', (_, send) => {
  it('reads slowly, and stops reading: nothing more is held than a few chunks', async () => {
    const server = await http((_request, response) => void pour(response).catch(() => {}));
    const body = await send(over([server]).door);
    let read = 0;
    let most = 0;
    for await (const piece of body) {
      read += piece.length;
      // A while in which nothing is read, at first a long one.
      for (let n = read === piece.length ? 200 : 1; n > 0; n--) await nextTurn();
      most = Math.max(most, (connection as Socket).bytesRead - read);
    }
    expect(read).toBe(total);
    expect(most).toBeLessThan(few);
  });

  it('is read slowly, and not at all for a while: its source is not asked for more', async () => {
    let start!: () => void;
    const started = new Promise<void>((resolve) => (start = resolve));
    const server = await http(async (request, response) => {
      await started;
      let read = 0;
      for await (const piece of request) read += (piece as Buffer).length;
      response.end(String(read));
    });
    let made = 0;
    let most = 0;
    async function* source(): AsyncGenerator<Buffer> {
      for (let n = 0; n < chunks; n++) {
        made += chunk.length;
        if (connection !== null) most = Math.max(most, made - (connection.bytesWritten - connection.writableLength));
        yield chunk;
      }
    }
    const sending = send(over([server]).door, Readable.from(source(), { objectMode: false }));
    // Until nothing moves any more.
    for (let before = -1, still = 0; still < 200; still = before === made && made > 0 ? still + 1 : 0) {
      before = made;
      await nextTurn();
    }
    expect(made).toBeLessThan(total / 4);
    start();
    expect(await text(await sending)).toBe(String(total));
    expect([made, most < few]).toEqual([total, true]);
  });
});
