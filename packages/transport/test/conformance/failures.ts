/** @module Subjects: what goes wrong on the wire, and what becomes of connections. */
import { until } from '../servers.js';
import type { Exchange } from './origin.js';
import { readAll } from './streams.js';
import { answering, caught, headOf, type Subject, seen } from './subject.js';

type Answer = (exchange: Exchange) => void;

const say =
  (text: string, then: 'end' | 'destroy' | 'reset' | 'stay' = 'end'): Answer =>
  ({ socket }) => {
    const bytes = Buffer.from(text, 'latin1');
    if (then === 'stay') socket.write(bytes);
    else if (then === 'end') socket.end(bytes);
    else socket.write(bytes, () => (then === 'reset' ? socket.resetAndDestroy() : socket.destroy()));
  };

const head = 'HTTP/1.1 200 OK\r\n';

const garbage: [string, Answer][] = [
  ['hangs up at once', say('', 'destroy')],
  ['resets at once', say('', 'reset')],
  ['ends at once', say('')],
  ['half a head', say('HTTP/1.1 200 OK\r\nx-a: 1')],
  ['no HTTP', say('hello\r\n\r\n')],
  ['HTTP/2.0', say('HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n')],
  ['HTTP/0.9', say('ok')],
  ['a status of two digits', say('HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n')],
  ['a status that is none', say('HTTP/1.1 abc OK\r\ncontent-length: 0\r\n\r\n')],
  ['status 1000', say('HTTP/1.1 1000 OK\r\ncontent-length: 0\r\n\r\n')],
  ['status 0', say('HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n')],
  ['status 199', say('HTTP/1.1 199 OK\r\ncontent-length: 0\r\n\r\n')],
  ['a header name with a blank', say(`${head}x a: 1\r\ncontent-length: 0\r\n\r\n`)],
  ['a header without a colon', say(`${head}xa\r\ncontent-length: 0\r\n\r\n`)],
  ['NUL in a header', say(`${head}x-a: a\0b\r\ncontent-length: 0\r\n\r\n`)],
  ['a control character in a header', say(`${head}x-a: a\x01b\r\ncontent-length: 0\r\n\r\n`)],
  ['a folded header', say(`${head}x-a: a\r\n b\r\ncontent-length: 0\r\n\r\n`)],
  ['bare line feeds', say('HTTP/1.1 200 OK\ncontent-length: 2\n\nok')],
  ['a head that is too long', say(`${head}x-a: ${'a'.repeat(100_000)}\r\ncontent-length: 0\r\n\r\n`, 'stay')],
  ['a content-length that is none', say(`${head}content-length: abc\r\n\r\nabc`)],
  ['a negative content-length', say(`${head}content-length: -1\r\n\r\nabc`)],
  ['two content-lengths', say(`${head}content-length: 2\r\ncontent-length: 3\r\n\r\nabc`)],
  ['two content-lengths that agree', say(`${head}content-length: 3\r\ncontent-length: 3\r\n\r\nabc`)],
  [
    'content-length and chunked',
    say(`${head}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`),
  ],
  ['an unknown transfer-encoding', say(`${head}transfer-encoding: x\r\n\r\nabc`)],
  ['a body shorter than its length', say(`${head}content-length: 10\r\n\r\nabc`)],
  ['the same, by reset', say(`${head}content-length: 10\r\n\r\nabc`, 'reset')],
  ['a body longer than its length', say(`${head}content-length: 2\r\n\r\nabcdef`)],
  ['a chunked body that is cut off', say(`${head}transfer-encoding: chunked\r\n\r\n5\r\nabc`)],
  ['a chunked body without an end', say(`${head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`)],
  ['a chunk size that is none', say(`${head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n`)],
  ['a first chunk size that is none', say(`${head}transfer-encoding: chunked\r\n\r\nxyz\r\n`)],
  ['a chunk longer than its size', say(`${head}transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n`)],
  ['a body to HEAD', say(`${head}content-length: 3\r\n\r\nabc`)],
];

/** Reads what there is, and how it ends. The first read need not hold all that came, so only the whole counts. */
async function howItEnds(response: Response): Promise<unknown> {
  const got: number[] = [];
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const end = await caught(
    (async () => {
      for (let at = await reader.read(); !at.done; at = await reader.read()) got.push(...at.value);
    })(),
  );
  return { head: headOf(response), end, closed: await caught(reader.closed) };
}

const lost: Answer = say(`${head}content-length: 10\r\n\r\nabc`);

const reads: [string, (response: Response) => Promise<unknown>][] = [
  ['json', (r) => r.json()],
  ['arrayBuffer', (r) => r.arrayBuffer()],
  ['blob', (r) => r.blob()],
  ['formData', (r) => r.formData()],
  ['stream', (r) => readAll(r.body)],
  ['clone', async (r) => [await caught(r.clone().text()), await caught(r.text())]],
];

/** Does `act` some times, one after the other, and tells whether that took more than one connection. */
const reuse = (name: string, answer: Answer, act: (response: Response) => unknown): Subject => ({
  name: `connection: ${name}`,
  answer,
  run: async (door) => {
    for (let i = 0; i < 3; i++) {
      await act(await door.fetch(`${door.origin}/x`));
      await door.quiet();
    }
    return door.a.connections === 1 ? 'kept' : 'not kept';
  },
});

const ok: Answer = (exchange) => exchange.reply(200, {}, 'ok');
const large: Answer = (exchange) => exchange.reply(200, {}, Buffer.alloc(5_000_000));

export const failures: Subject[] = [
  ...garbage.map(([name, answer]) => answering(`wire: ${name}`, answer, seen)),
  ...garbage
    .slice(0, 4)
    .map(([name, answer]) => answering(`wire to POST: ${name}`, answer, seen, () => ({ method: 'POST', body: 'abc' }))),
  answering('wire to HEAD: a body', say(`${head}content-length: 3\r\n\r\nabc`), seen, () => ({ method: 'HEAD' })),
  ...garbage.slice(25, 33).map(([name, answer]) => answering(`wire as a stream: ${name}`, answer, howItEnds)),
  ...reads.map(([how, read]) => answering(`wire: a body cut off, read as ${how}`, lost, (r) => caught(read(r)))),
  {
    name: 'wire: nobody listens',
    run: async (door) => {
      await door.a.close();
      const error = await caught(door.fetch(`${door.origin}/x`));
      return error;
    },
  },
  reuse('is kept after text', ok, (r) => r.text()),
  reuse('is kept after a stream', ok, (r) => readAll(r.body)),
  reuse(
    'is kept after 204',
    (exchange) => exchange.reply(204),
    () => {},
  ),
  reuse('is kept after an unread small body', ok, () => {}),
  reuse(
    'is kept after a redirect',
    (exchange) => (exchange.path === '/x' ? exchange.reply(302, { location: '/y' }, 'moved') : exchange.reply(200)),
    (r) => r.text(),
  ),
  reuse(
    'is closed when the server says so',
    (exchange) => exchange.reply(200, { connection: 'close' }, 'ok'),
    (r) => r.text(),
  ),
  reuse('is not kept for a large body that is canceled', large, (r) => r.body?.cancel()),
  {
    name: 'connection: many at once',
    answer: ok,
    run: async (door) => {
      const all = Array.from({ length: 30 }, async (_, i) => (await door.fetch(`${door.origin}/${i}`)).text());
      return [await Promise.all(all), new Set(door.a.exchanges.map(({ path }) => path)).size];
    },
  },
  {
    name: 'connection: a server that is gone after the first request',
    answer: (exchange) => {
      exchange.reply(200, {}, 'ok');
      if (exchange.n === 1) exchange.socket.end();
    },
    run: async (door) => {
      const first = await (await door.fetch(`${door.origin}/x`)).text();
      await until(() => door.a.exchanges[0]?.socket.destroyed === true);
      return [first, await (await door.fetch(`${door.origin}/x`)).text()];
    },
  },
  {
    name: 'connection: an answer before the body was sent',
    atHead: true,
    answer: (exchange) => exchange.reply(413, { connection: 'close' }, 'too large'),
    run: async (door) => {
      const body = new ReadableStream({ start: (it) => it.enqueue(new Uint8Array(1000)) });
      const response = await door.fetch(`${door.origin}/x`, { method: 'POST', body, duplex: 'half' });
      return [response.status, await response.text()];
    },
  },
];
