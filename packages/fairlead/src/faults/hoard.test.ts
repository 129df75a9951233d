// Catches: a small reply that becomes gigabytes in memory (a decoder that runs ahead of its reader), and bodies that nobody
// reads which hold their connections, load or memory for ever.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { sleep, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { get, loads, until, worlds } from '../../test/world.js';

const world = worlds();
const MIB = 2 ** 20;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** What is held, on the heap and beside it. */
async function heldMib(): Promise<number> {
  // What was let go in this turn can be collected in the next.
  for (let i = 0; i < 3; i++) {
    await sleep(systemClock, 1);
    gc();
  }
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MIB;
}

/** Hundreds of megabytes of nothing, in less than one. Members of gzip may follow each other; brotli needs a kilobyte. */
const bombs: readonly (readonly [string, number, () => Buffer])[] = [
  ['gzip', 512, () => Buffer.concat(Array<Buffer>(32).fill(gzipSync(Buffer.alloc(16 * MIB))))],
  ['br', 256, () => brotliCompressSync(Buffer.alloc(256 * MIB), { params: { 1: 4 } })],
];

describe.each(bombs)('a bomb of %s, %i MiB', (coding, mib, make) => {
  it('holds a few MiB while it is read as a stream, and no more while its reader does something else', async () => {
    const bomb = make();
    expect(bomb.length).toBeLessThan(MIB);
    const site = await world.http((_request, response) => {
      response.writeHead(200, { 'content-encoding': coding, 'content-length': bomb.length }).end(bomb);
    });
    const client = world.service([site.origin]);
    const before = await heldMib();
    const reply = await client.fetch('http://svc/');
    const reader = (reply.body as ReadableStream<Uint8Array>).getReader();
    let bytes = 0;
    let checked = 0;
    let peak = 0;
    for (let got = await reader.read(); !got.done; got = await reader.read()) {
      bytes += got.value.length;
      if (bytes - checked < 32 * MIB) continue;
      checked = bytes;
      // Meanwhile the reader does not read.
      peak = Math.max(peak, (await heldMib()) - before);
    }
    expect(bytes).toBe(mib * MIB);
    expect(peak).toBeLessThan(16);
  }, 30_000);

  it('is given up in the middle of it, by ten readers at once', async () => {
    const bomb = make();
    const site = await world.http((_request, response) => {
      response
        .on('error', () => {})
        .writeHead(200, { 'content-encoding': coding })
        .end(bomb);
    });
    const client = world.service([site.origin]);
    const before = await heldMib();
    const readers = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const reply = await client.fetch('http://svc/');
        const reader = (reply.body as ReadableStream<Uint8Array>).getReader();
        expect((await reader.read()).done).toBe(false);
        return reader;
      }),
    );
    expect((await heldMib()) - before).toBeLessThan(40);
    for (const reader of readers) await reader.cancel();
    await until(() => loads(client)[0] === 0, 'nothing in flight');
  }, 30_000);
});

describe('10,000 bodies that nobody reads', () => {
  it('give their connections back although their callers keep them', async () => {
    // More than is read ahead: such a body holds its connection until somebody has read it.
    const body = Buffer.alloc(256 * 1_024);
    const site = await world.http((request, response) => {
      response.on('error', () => {});
      if (request.url === '/short') response.end('ok');
      else response.end(body);
    });
    const client = world.client({
      on: null,
      services: {
        svc: {
          from: [site.origin],
          timeoutMs: false,
          attemptTimeoutMs: false,
          transport: { connections: 500, unreadBodyMs: 20 },
        },
      },
    });
    const before = await heldMib();
    const kept: Response[] = [];
    let answered = 0;
    const calls = Array.from({ length: 10_000 }, async () => {
      const reply = await client.fetch('http://svc/');
      answered++;
      kept.push(reply);
    });
    await Promise.all(calls);
    expect(answered).toBe(10_000);
    await until(() => loads(client)[0] === 0, 'nothing in flight', 20_000);
    await until(() => site.sockets.size <= 500, 'no more connections than before');
    expect(await get(client.fetch, {}, 'http://svc/short')).toMatchObject({ status: 200, text: 'ok' });
    kept.length = 0;
    expect((await heldMib()) - before).toBeLessThan(40);
  }, 60_000);
});
