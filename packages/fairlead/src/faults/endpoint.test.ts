// Catches: one endpoint that is wrong in any of a dozen ways and becomes the caller's trouble, retries beyond the budget,
// load that is counted for ever, sockets and timers that outlive the client. Real sockets and processes.
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { sleep, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { attempts, load, type Replica, tally, until, type World, worlds } from '../../test/world.js';

const world = worlds();
const CALLS = 128;

interface Fault {
  readonly name: string;
  readonly make: (world: World) => Promise<string>;
  /** Kinds of failure that the caller is told of, since nothing can be done: the body had begun, or it is our own limit. */
  readonly told?: readonly string[];
  /** Wrong, but every call gets its answer. */
  readonly works?: boolean;
}

const well: RequestListener = (_request, response) => void response.end('ok');
const origin = async (site: Promise<{ origin: string }>): Promise<string> => (await site).origin;

const faults: readonly Fault[] = [
  { name: 'refuses connections', make: (w) => w.refusing() },
  { name: 'resets before the head', make: (w) => origin(w.raw((socket) => socket.resetAndDestroy())) },
  { name: 'closes before the head', make: (w) => origin(w.raw((socket) => socket.end())) },
  {
    name: 'resets in the head',
    make: (w) => origin(w.raw((socket) => socket.write('HTTP/1.1 200 OK\r\nx-a: ', () => socket.resetAndDestroy()))),
  },
  {
    name: 'resets in the body',
    make: (w) =>
      origin(
        w.raw((socket) =>
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', () => socket.resetAndDestroy()),
        ),
      ),
  },
  {
    name: 'promises more than it sends',
    make: (w) => origin(w.raw((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'))),
  },
  {
    name: 'ends a chunked body in the middle',
    make: (w) =>
      origin(w.raw((socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf'))),
    told: ['terminated: ERR_TRANSPORT body'],
  },
  {
    name: 'sends more than it promises',
    make: (w) => origin(w.raw((s) => s.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more'))),
    works: true,
  },
  { name: 'never answers', make: (w) => origin(w.raw(() => {})) },
  { name: 'sends one byte of its head every 50 ms', make: (w) => origin(w.raw((socket) => void drip(socket))) },
  { name: 'talks something else', make: (w) => origin(w.raw((socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n'))) },
  {
    name: 'answers 503 at once',
    make: (w) => origin(w.http((_request, response) => void response.writeHead(503).end())),
  },
  {
    name: 'answers after 80 ms',
    make: (w) => origin(w.http((_request, response) => void sleep(systemClock, 80).then(() => response.end('ok')))),
    works: true,
  },
  {
    name: 'sends a head beyond the limit',
    make: (w) =>
      origin(w.http((_request, response) => response.writeHead(200, { 'x-big': 'x'.repeat(20_000) }).end('ok'))),
  },
];

async function drip(socket: Socket): Promise<void> {
  for (const byte of 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok') {
    if (socket.destroyed) return;
    socket.write(byte);
    await sleep(systemClock, 50);
  }
}

describe.each([
  [1, 3],
  [2, 5],
])('%i of %i endpoints', (bad, of) => {
  it.each(faults)('$name', async ({ make, told = [], works = false }) => {
    const from: string[] = [];
    for (let i = 0; i < of; i++) from.push(i < bad ? await make(world) : (await world.http(well)).origin);
    const client = world.service(from, { attemptTimeoutMs: 250, timeoutMs: 5_000 });
    const all = await load(client.fetch, CALLS);
    const kinds = tally(all);
    for (const kind of Object.keys(kinds)) expect(['200', ...told]).toContain(kind);
    for (const kind of told) expect(kinds).toHaveProperty([kind]);
    expect(all.filter((got) => 'text' in got && got.text !== 'ok')).toEqual([]);
    // Each of the 32 callers may meet each bad endpoint before it is ejected, but hardly again.
    expect(attempts(client)).toBeLessThanOrEqual(CALLS * 1.2 + 32);
    expect(Math.max(...all.map(({ ms }) => ms))).toBeLessThan(1_500);
    const ejected = from.filter((_, i) => client.describe().svc?.endpoints[i]?.health !== 'healthy');
    expect(ejected).toEqual(works ? [] : from.slice(0, bad));
  });
});

it('an endpoint that breaks off every reply does not go on doing so: it would look like the fastest of all', async () => {
  const broken = await faults.find(({ name }) => name === 'resets in the body')?.make(world);
  const slow: RequestListener = (_request, response) => void sleep(systemClock, 10).then(() => response.end('ok'));
  const from = [
    broken as string,
    ...(await Promise.all([1, 2, 3, 4].map(async () => (await world.http(slow)).origin))),
  ];
  const all = tally(await load(world.service(from).fetch, 1_000));
  expect(all['200']).toBeGreaterThan(1_000 - 5 - 32);
});

describe('a process', () => {
  it('that is killed with calls in flight costs none of them', async () => {
    const replicas = await Promise.all([0, 1, 2].map(() => world.replica({ DELAY: '20' })));
    const client = world.service(
      replicas.map((replica) => replica.origin),
      { attemptTimeoutMs: 1_000 },
    );
    const victim = replicas[0] as Replica;
    const calls = load(client.fetch, 400);
    await until(() => victim.requests >= 20, 'requests at the replica');
    victim.process.kill('SIGKILL');
    expect(tally(await calls)).toEqual({ 200: 400 });
    expect(attempts(client)).toBeLessThanOrEqual(400 + 2 * 32);
    expect(client.describe().svc?.endpoints[0]?.health).not.toBe('healthy');
  });

  it('that is frozen costs attempts but no call, and gets work again when it goes on', async () => {
    const replicas = await Promise.all([0, 1, 2].map(() => world.replica({ DELAY: '5' })));
    const client = world.service(
      replicas.map((replica) => replica.origin),
      {
        attemptTimeoutMs: 200,
        health: { baseEjectMs: 300 },
      },
    );
    const victim = replicas[0] as Replica;
    const calls = load(client.fetch, 600);
    await until(() => victim.requests >= 20, 'requests at the replica');
    victim.process.kill('SIGSTOP');
    expect(tally(await calls)).toEqual({ 200: 600 });
    expect(attempts(client)).toBeLessThanOrEqual(600 * 1.2);
    const before = victim.requests;
    victim.process.kill('SIGCONT');
    while (client.describe().svc?.endpoints[0]?.health !== 'healthy') {
      expect(tally(await load(client.fetch, 32))).toEqual({ 200: 32 });
      await sleep(systemClock, 20);
    }
    expect(tally(await load(client.fetch, 100))).toEqual({ 200: 100 });
    expect(victim.requests).toBeGreaterThan(before + 10);
  });
});
