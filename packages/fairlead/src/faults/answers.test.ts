// Catches: an answer that is wrong in one known way, or does not come, and that ends in another error than the documented one,
// later than the call may take, or in somebody else's answer; that is not tried elsewhere where that is safe, or is where it
// is not; and what such an answer leaves behind: a connection in use, a timer, load. The whole stack with its defaults, over
// real sockets; what is left behind, every test of a world looks for.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { sleep, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { attempts, get, loads, until, worlds } from '../../test/world.js';

const world = worlds();
const BODY = 'x'.repeat(1_000);
const head = (length: number): string => `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`;

/** Writes `text` bit by bit for as long as the other side listens. */
async function trickle(socket: Socket, text: string, everyMs: number): Promise<void> {
  for (const letter of text) {
    if (socket.destroyed) return;
    socket.write(letter);
    await sleep(systemClock, everyMs);
  }
}

interface Wrong {
  readonly what: string;
  /** What the server does with a request. */
  readonly answer: (socket: Socket) => void;
  /** Of the only attempt at it, through fetch. */
  readonly error: object;
  /** Ms that it takes at most. Default 400. */
  readonly withinMs?: number;
}

const broken = (phase: string, sent = 'maybe'): object => ({ cause: { code: 'ERR_TRANSPORT', phase, sent } });
const late = { cause: { code: 'ERR_TIMEOUT', of: 'attempt', sent: 'maybe' } };

/** What no GET may fail for while there is another endpoint. */
const wrongs: readonly Wrong[] = [
  { what: 'is a reset before its first byte', answer: (socket) => socket.resetAndDestroy(), error: broken('wait') },
  { what: 'is the end of the connection', answer: (socket) => void socket.end(), error: broken('wait') },
  {
    what: 'is a reset in the middle of its head',
    answer: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-le', () => socket.resetAndDestroy()),
    error: broken('wait'),
  },
  {
    what: 'is a reset in the middle of a small body',
    answer: (socket) => void socket.write(`${head(1_000)}begun`, () => socket.resetAndDestroy()),
    error: broken('body'),
  },
  {
    what: 'promises more than it has',
    answer: (socket) => void socket.end(`${head(1_000)}that is all`),
    error: broken('body'),
  },
  {
    // undici takes it for an answer that is wrong, and so does the built-in fetch.
    what: 'begins with a 100 that nobody asked for',
    answer: (socket) => void socket.end('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
    error: broken('wait'),
  },
  { what: 'is no HTTP', answer: (socket) => void socket.end('SSH-2.0-OpenSSH_9.9\r\n'), error: broken('wait') },
  {
    what: 'has a head that is too large',
    answer: (socket) =>
      void socket.end(`HTTP/1.1 200 OK\r\nx-large: ${'x'.repeat(20_000)}\r\ncontent-length: 0\r\n\r\n`),
    error: broken('wait'),
  },
  {
    what: 'has two lengths',
    answer: (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!'),
    error: broken('wait'),
  },
  { what: 'does not come', answer: () => {}, error: late, withinMs: 1_500 },
  {
    what: 'is nothing but 1xx',
    answer: (socket) => void socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'),
    error: late,
    withinMs: 1_500,
  },
  {
    what: 'has a head of one byte per 20 ms',
    answer: (socket) => void trickle(socket, `HTTP/1.1 200 OK\r\nx: ${BODY}`, 20),
    error: late,
    withinMs: 1_500,
  },
];

describe.each(wrongs)('an answer that $what', ({ answer, error, withinMs = 400 }) => {
  const times = { timeoutMs: 3_000, attemptTimeoutMs: 500 };

  it('is the documented error of a call with one attempt, in time, and of nobody else', async () => {
    const site = await world.raw(answer);
    const client = world.service([site.origin], { ...times, attempts: 1 });
    for (const got of await Promise.all([0, 1, 2].map(() => get(client.fetch)))) {
      expect(got).toMatchObject({ error: { name: 'TypeError', ...error } });
      expect(got.ms).toBeLessThan(withinMs + 1_000);
    }
    expect(attempts(client)).toBe(3);
    expect(loads(client)).toEqual([0]);
  });

  it('costs no GET while another endpoint is well, and is not repeated to a POST that may have been sent', async () => {
    const [bad, good] = await Promise.all([
      world.raw(answer),
      world.http((_request, response) => void response.end('fine')),
    ]);
    const client = world.service([bad.origin, good.origin], { ...times, health: false, breaker: false, budget: false });
    const all = await Promise.all(Array.from({ length: 10 }, () => get(client.fetch)));
    for (const got of all) expect(got).toMatchObject({ status: 200, text: 'fine' });
    expect(bad.requests).toBeGreaterThan(0);
    const before = attempts(client);
    const posts = await Promise.all(
      Array.from({ length: 10 }, () => get(client.fetch, { method: 'POST', body: 'once' })),
    );
    for (const got of posts) {
      if ('status' in got) expect(got).toMatchObject({ status: 200, text: 'fine' });
      else expect(got).toMatchObject({ error });
    }
    expect(attempts(client)).toBe(before + 10);
  }, 20_000);
});

describe('an answer', () => {
  it('that comes one byte at a time is read as it comes, and ends with the time of the call', async () => {
    const site = await world.raw((socket) => void socket.write(head(1_000), () => void trickle(socket, BODY, 10)));
    const client = world.service([site.origin], {
      timeoutMs: 600,
      attemptTimeoutMs: 300,
      retry: { wholeReplyBytes: 0 },
    });
    const at = systemClock.now();
    const reply = await client.fetch('http://svc/');
    expect(systemClock.now() - at).toBeLessThan(550);
    await expect(reply.text()).rejects.toMatchObject({
      message: 'terminated',
      cause: { code: 'ERR_TIMEOUT', of: 'call' },
    });
    expect(systemClock.now() - at).toBeLessThan(1_600);
    await until(() => site.sockets.size === 0, 'the connection cut');
  });

  it('of which there is more than it promised is what it promised, and the rest is no answer to the next call', async () => {
    let n = 0;
    const site = await world.raw(
      (socket) => void socket.write(`${head(2)}${++n % 10}!HTTP/1.1 200 OK\r\nwrong: yes\r\n\r\n`),
    );
    const client = world.service([site.origin], { transport: { connections: 1 } });
    for (let i = 1; i <= 5; i++) {
      const reply = await client.fetch('http://svc/');
      expect([await reply.text(), reply.headers.get('wrong')]).toEqual([`${n % 10}!`, null]);
    }
  });

  it('that follows any number of 1xx is the answer', async () => {
    const hints = 'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(20);
    const site = await world.raw(
      (socket) => void socket.write(`${hints}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`),
    );
    const client = world.service([site.origin]);
    for (let i = 0; i < 5; i++) expect(await get(client.fetch)).toMatchObject({ status: 200, text: 'ok' });
    expect(attempts(client)).toBe(5);
  });
});

describe('a connection that is reset as soon as it is there', () => {
  it('is a failed attempt like any other: a GET goes elsewhere, and a POST is not sent twice', async () => {
    const good = await world.http((_request, response) => void response.end('fine'));
    const bad = createServer((socket) => void socket.on('error', () => {}).resetAndDestroy());
    await once(bad.listen(0, '127.0.0.1'), 'listening');
    try {
      const origin = `http://127.0.0.1:${(bad.address() as AddressInfo).port}`;
      const alone = world.service([origin], { health: false, breaker: false });
      const got = await get(alone.fetch, { method: 'POST', body: 'once' });
      expect(got).toMatchObject({ error: { cause: { code: 'ERR_TRANSPORT' } } });
      const client = world.service([origin, good.origin], { health: false, breaker: false, budget: false });
      for (let i = 0; i < 20; i++) expect(await get(client.fetch)).toMatchObject({ status: 200, text: 'fine' });
      expect(attempts(client)).toBeGreaterThan(20);
    } finally {
      await closing(bad);
    }
  });
});

async function closing(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  await closed;
}
