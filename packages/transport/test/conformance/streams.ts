/** @module Subjects: the body of a response as a stream. */
import { Readable } from 'node:stream';
import { nextTurn, until } from '../servers.js';
import type { Exchange } from './origin.js';
import { answering, caught, type Subject, tried } from './subject.js';

/** All of a stream as Latin-1 text. */
export async function readAll(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

const ok = (exchange: Exchange): void => exchange.reply(200, { 'content-type': 'a/b' }, 'abcdefgh');
export const large = (exchange: Exchange): void => exchange.reply(200, {}, Buffer.alloc(1_000_000, 'x'));

/** A first piece, and never an end. */
export const endless = (exchange: Exchange): void =>
  exchange.raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');

export const bodyOf = (response: Response): ReadableStream<Uint8Array> => response.body as ReadableStream<Uint8Array>;

export const stream = (name: string, look: Parameters<typeof answering>[2], answer: Subject['answer'] = ok): Subject =>
  answering(`stream: ${name}`, answer, look);

export const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && Buffer.from(bytes).toString('latin1');

/** Writes as long as the other side reads, and counts. */
function flood(counter: { written: number }): (exchange: Exchange) => void {
  return ({ socket }) => {
    const chunk = Buffer.alloc(65_536, 'x');
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n');
    const more = (): void => {
      do counter.written += chunk.length;
      while (counter.written < 100_000_000 && !socket.destroyed && socket.write(chunk));
      socket.once('drain', more);
    };
    more();
  };
}

/** Waits until no more is written, and tells how much it was. */
export async function settled(counter: { written: number }): Promise<number> {
  let before = -1;
  for (let quiet = 0; quiet < 100; quiet = counter.written === before ? quiet + 1 : 0) {
    before = counter.written;
    await nextTurn();
  }
  return counter.written;
}

/** The server must have been stopped well before all that it wanted to send. */
function backPressure(name: string, read: (response: Response) => Promise<unknown>): Subject {
  const counter = { written: 0 };
  return {
    name: `stream: back-pressure, ${name}`,
    answer: flood(counter),
    run: async (door) => {
      counter.written = 0;
      const response = await door.fetch(`${door.origin}/x`);
      const reading = await read(response);
      const stopped = (await settled(counter)) < 20_000_000;
      const cancel = reading instanceof ReadableStream ? reading.cancel() : response.body?.cancel();
      return [stopped, await caught(Promise.resolve(cancel))];
    },
  };
}

export const streams: Subject[] = [
  stream('read to its end', async (r) => [await readAll(r.body), r.bodyUsed, bodyOf(r).locked]),
  stream('is the same each time', (r) => [Object.is(r.body, r.body), r.body instanceof ReadableStream, r.bodyUsed]),
  stream('locked by a reader', async (r) => {
    const reader = bodyOf(r).getReader();
    const states = [r.bodyUsed, bodyOf(r).locked, await caught(r.text()), tried(() => r.clone())];
    const { value } = await reader.read();
    return [...states, text(value), r.bodyUsed];
  }),
  stream('a reader that lets go unread', async (r) => {
    const reader = bodyOf(r).getReader();
    reader.releaseLock();
    return [r.bodyUsed, await r.text()];
  }),
  stream('a reader that lets go halfway', async (r) => {
    const reader = bodyOf(r).getReader();
    await reader.read();
    reader.releaseLock();
    return [r.bodyUsed, await caught(r.text()), tried(() => r.clone())];
  }),
  stream('text, then the stream', async (r) => {
    const first = r.text();
    return [r.bodyUsed, bodyOf(r).locked, await first, bodyOf(r).locked, await caught(readAll(r.body))];
  }),
  stream('text, then a reader of the stream', async (r) => {
    await r.text();
    return tried(() => bodyOf(r).getReader().constructor.name);
  }),
  stream('the stream, then text', async (r) => [bodyOf(r).locked, await r.text(), r.bodyUsed]),
  stream('cancel unread', async (r) => [await bodyOf(r).cancel(), r.bodyUsed, await caught(r.text())]),
  stream('cancel twice', async (r) => [await bodyOf(r).cancel(), await bodyOf(r).cancel()]),
  stream(
    'cancel while a read waits',
    async (r) => {
      const reader = bodyOf(r).getReader();
      await reader.read();
      const waiting = reader.read();
      return [await reader.cancel('enough'), await waiting, await reader.closed];
    },
    endless,
  ),
  stream(
    'cancel closes the connection',
    async (r, door) => {
      const reader = bodyOf(r).getReader();
      await reader.read();
      await reader.cancel();
      await door.a.exchanges[0]?.gone();
      return 'closed';
    },
    endless,
  ),
  stream('cancel of a locked stream', async (r) => {
    bodyOf(r).getReader();
    return caught(bodyOf(r).cancel());
  }),
  stream('leaving a loop that does not cancel', async (r) => {
    for await (const _ of bodyOf(r).values({ preventCancel: true })) break;
    return [r.bodyUsed, bodyOf(r).locked, await caught(r.text())];
  }),
  stream('leaving a loop', async (r, door) => {
    for await (const chunk of bodyOf(r)) {
      await door.a.exchanges[0]?.gone.length;
      void chunk;
      break;
    }
    return [r.bodyUsed, bodyOf(r).locked, await caught(r.text())];
  }),
  stream(
    'leaving a loop closes the connection',
    async (r, door) => {
      for await (const _ of bodyOf(r)) break;
      await door.a.exchanges[0]?.gone();
      return 'closed';
    },
    endless,
  ),
  stream('tee', async (r) => {
    const [a, b] = bodyOf(r).tee();
    return [r.bodyUsed, bodyOf(r).locked, await readAll(a), await readAll(b)];
  }),
  stream(
    'tee, one half canceled',
    async (r) => {
      const [a, b] = bodyOf(r).tee();
      void a.cancel();
      return (await readAll(b)).length;
    },
    large,
  ),
  stream(
    'tee, both halves canceled',
    async (r, door) => {
      const [a, b] = bodyOf(r).tee();
      const results = await Promise.all([a.cancel('a'), b.cancel('b')].map(caught));
      await door.a.exchanges[0]?.gone();
      return results;
    },
    endless,
  ),
  stream('a BYOB reader', async (r) => {
    const reader = bodyOf(r).getReader({ mode: 'byob' });
    const got: unknown[] = [];
    for (let at = await reader.read(new Uint8Array(3)); ; at = await reader.read(new Uint8Array(3))) {
      got.push([text(at.value), at.done]);
      if (at.done) return got;
    }
  }),
  stream(
    'a BYOB reader of an empty body',
    async (r) => {
      const { value, done } = await bodyOf(r).getReader({ mode: 'byob' }).read(new Uint8Array(3));
      return [value?.length, done];
    },
    (exchange) => exchange.reply(200),
  ),
  stream('a BYOB reader with another view', async (r) => {
    const { value } = await bodyOf(r).getReader({ mode: 'byob' }).read(new Uint16Array(2));
    return [value?.constructor.name, value?.length];
  }),
  stream(
    'a BYOB reader that cancels',
    async (r) => {
      const reader = bodyOf(r).getReader({ mode: 'byob' });
      await reader.read(new Uint8Array(2));
      return caught(reader.cancel());
    },
    endless,
  ),
  stream('chunks are memory of their own', async (r) => {
    const { value } = await bodyOf(r).getReader().read();
    return [value?.constructor.name, value?.byteOffset, value?.byteLength === value?.buffer.byteLength];
  }),
  backPressure('not read at all', async (r) => r),
  backPressure('a body that is looked at', async (r) => r.body),
  backPressure('one chunk read', async (r) => {
    const reader = bodyOf(r).getReader();
    await reader.read();
    reader.releaseLock();
    return r.body;
  }),
  backPressure('Readable.fromWeb', async (r) => {
    const readable = Readable.fromWeb(bodyOf(r) as never);
    await new Promise((resolve) => readable.once('readable', resolve));
    readable.on('error', () => {});
    return { destroyed: readable.destroy() };
  }),
  {
    name: 'stream: chunks as they come',
    answer: endless,
    run: async (door) => {
      const reader = bodyOf(await door.fetch(`${door.origin}/x`)).getReader();
      const { socket } = (await door.a.arrived(1)) as Exchange;
      const got = [text((await reader.read()).value)];
      socket.write('3\r\nabc\r\n');
      got.push(text((await reader.read()).value));
      socket.write('0\r\n\r\n');
      return [got, (await reader.read()).done];
    },
  },
  {
    name: 'stream: request and response at the same time',
    atHead: true,
    answer: (exchange) => exchange.raw('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n'),
    run: async (door) => {
      let ends = (): void => {};
      const body = new ReadableStream({
        start: (it) => {
          it.enqueue(new Uint8Array(3));
          ends = () => it.close();
        },
      });
      const response = await door.fetch(`${door.origin}/x`, { method: 'POST', body, duplex: 'half' });
      const exchange = await door.a.arrived(1);
      await until(() => exchange.body.length === 3);
      ends();
      await until(() => exchange.whole);
      exchange.raw('ok');
      return [await response.text(), exchange.body.length];
    },
  },
];
