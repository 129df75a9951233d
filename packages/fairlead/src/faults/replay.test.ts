// Would catch: a stream that is not sent again although its beginning is known, sent again without it or with a hole, or
// although it is too long; a source that nobody lets go of; a small reply that breaks and is not asked for again.
import { later, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { attempts, get, until, worlds } from '../../test/world.js';

const world = worlds();

/** Pieces of a body, and whether their source was let go. */
function source(pieces: readonly string[]) {
  const seen = { closed: false, body: null as never as AsyncIterable<Uint8Array> };
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for (const piece of pieces) yield Buffer.from(piece);
    } finally {
      seen.closed = true;
    }
  }
  seen.body = read();
  return seen;
}

/** An endpoint that resets while it is being sent a body. */
const resetting = () => world.raw((socket) => void later(systemClock, 30, () => socket.resetAndDestroy()));

/** An endpoint that answers with what it was sent. */
const echoing = () =>
  world.http((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => response.end(Buffer.concat(chunks)));
  });

const put = (body: unknown): RequestInit => ({ method: 'PUT', body, duplex: 'half' }) as RequestInit;

describe('a stream that is being sent when the connection breaks', () => {
  it.each(['an iterable', 'a ReadableStream', 'a Request'])('is sent elsewhere, whole: %s', async (kind) => {
    const [bad, good] = [await resetting(), await echoing()];
    const client = world.service([bad.origin, good.origin], { picker: 'roundRobin', retry: { baseMs: 1 } });
    for (let i = 0; i < 4; i++) {
      const { body } = source(['first,', 'second,', 'third']);
      const stream = kind === 'an iterable' ? body : ReadableStream.from(body);
      const reply =
        kind === 'a Request'
          ? await client.fetch(new Request('http://svc/', put(stream)))
          : await client.fetch('http://svc/', put(stream));
      expect(await reply.text()).toBe('first,second,third');
    }
    expect(attempts(client)).toBeGreaterThan(4);
  });

  it('is not, once more than 64 KiB of it have been read, and its source is let go', async () => {
    const bad = await resetting();
    const client = world.service([bad.origin], { retry: { baseMs: 1 } });
    const long = source(Array.from({ length: 100 }, () => 'x'.repeat(10_000)));
    const got = await client.fetch('http://svc/', put(long.body)).catch((error) => error);
    expect(got.cause.message).toContain('not repeated: body');
    expect(attempts(client)).toBe(1);
    await until(() => long.closed, 'the source let go');
  });

  it('is let go when all attempts have failed, and when it was never begun', async () => {
    const bad = await resetting();
    const begun = source(['first,', 'second']);
    const failing = world.service([bad.origin], { retry: { baseMs: 1 } });
    await expect(failing.fetch('http://svc/', put(begun.body))).rejects.toThrow('fetch failed');
    await until(() => begun.closed, 'the source let go');
    const canceled = Promise.withResolvers<unknown>();
    const stream = new ReadableStream({ cancel: canceled.resolve });
    const refusing = world.service([await world.refusing()], { attempts: 1 });
    const error = await refusing.fetch('http://svc/', put(stream)).catch((reason) => reason);
    expect(await canceled.promise).toBe(error);
  });
});

describe('a small reply that breaks in the middle', () => {
  const half = (how: 'resets' | 'closes') =>
    world.raw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', () => {
        if (how === 'resets') socket.resetAndDestroy();
        else socket.end();
      });
    });

  it.each(['resets', 'closes'] as const)('is asked for elsewhere (%s), a POST is not', async (how) => {
    const [bad, good] = [await half(how), await world.http((_request, response) => void response.end('whole'))];
    const client = world.service([bad.origin, good.origin], { picker: 'roundRobin', retry: { baseMs: 1 } });
    for (let i = 0; i < 4; i++) expect(await get(client.fetch)).toMatchObject({ status: 200, text: 'whole' });
    const alone = world.service([bad.origin]);
    const reply = await alone.fetch('http://svc/', { method: 'POST' });
    expect(reply.status).toBe(200);
    await expect(reply.text()).rejects.toThrow('terminated');
    expect(attempts(alone)).toBe(1);
  });

  it('keeps its status if nobody has it whole', async () => {
    const bad = await half('resets');
    const client = world.service([bad.origin], { retry: { baseMs: 1 } });
    const reply = await client.fetch('http://svc/');
    expect(reply.status).toBe(200);
    const error = await reply.text().catch((reason) => reason);
    expect(error).toMatchObject({ message: 'terminated', cause: { phase: 'body' } });
    expect(error.cause.message).toContain('attempt 3 of 3');
    expect(error.cause.attempts.length).toBe(2);
  });

  it('that trickles in is handed over after a second, and read to its end', async () => {
    const slow = await world.raw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n');
      let left = 16;
      const send = (): void => {
        socket.write('x');
        if (--left > 0) later(systemClock, 100, send);
      };
      send();
    });
    const client = world.service([slow.origin]);
    const begun = systemClock.now();
    const reply = await client.fetch('http://svc/');
    const headMs = systemClock.now() - begun;
    expect(await reply.text()).toBe('x'.repeat(16));
    expect(headMs).toBeGreaterThan(900);
    expect(headMs).toBeLessThan(1_500);
  });
});
