// Catches: HTTP/2 requests that go on being sent into a connection that nobody answers any more; one that is given up
// although its server is only slow. The relay swallows what the network would; a network that really does is in
// packages/fairlead/src/faults/half-open.test.ts.
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import { connect, createServer as createRelay, type Socket } from 'node:net';
import { type Call, readText } from '@fairlead/core';
import { countResources, VirtualClock } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, rejection, serve, type TestServer, until } from '../../test/servers.js';
import { createTransport, type Transport } from '../transport.js';

const servers: TestServer[] = [];
let resources = countResources();
let clock: VirtualClock;
let transport: Transport;
let relay: TestServer;
/** What comes from the server over these connections is lost. */
const swallowed = new Set<Socket>();
/** Whoever has half of a body. */
const halves: ServerHttp2Stream[] = [];
/** Paths that have arrived. */
const seen: string[] = [];

beforeEach(async () => {
  resources = countResources();
  clock = new VirtualClock();
  transport = createTransport({ http2: true, maxConnectionAgeMs: false });
  const http2 = createHttp2().on('stream', (stream: ServerHttp2Stream, headers) => {
    const path = String(headers[':path']);
    seen.push(path);
    stream.on('error', () => {});
    if (path === '/slow') return;
    stream.respond({ ':status': 200 });
    if (path !== '/half') return void stream.end('ok');
    stream.write('half ');
    halves.push(stream);
  });
  const server = await serve(http2 as never);
  relay = await serve(
    createRelay((near) => {
      const far = connect(server.port, '127.0.0.1');
      far.on('data', (data) => swallowed.has(near) || near.write(data)).on('error', () => {});
      far.once('close', () => near.destroy());
      near.on('data', (data) => far.write(data)).once('close', () => far.destroy());
    }),
  );
  servers.push(relay, server);
});

afterEach(async () => {
  await transport.close(0);
  for (const server of servers.splice(0)) await server.close();
  swallowed.clear();
  seen.length = 0;
  halves.length = 0;
  expect(clock.pending).toBe(0);
  await resources.check();
});

const to = (path: string): Call => call(relay, { path, runtime: { clock } });
const text = async (path: string): Promise<string> => readText(await transport.handler(to(path)));
const swallow = (): void => {
  for (const socket of relay.sockets) swallowed.add(socket);
};

/** Sends a call, and gives it up after `ms`. */
async function giveUp(path: string, ms: number): Promise<void> {
  const sent = to(path);
  const before = seen.length;
  const failed = rejection(transport.handler(sent));
  await until(() => seen.length > before);
  await clock.advance(ms);
  sent.scope.cancel();
  expect((await failed).code).toBe('ERR_CANCELED');
}

describe('a connection over HTTP/2 that says nothing', () => {
  it('for a second although it was asked gets no more requests, and those under way on it finish', async () => {
    expect(await text('/')).toBe('ok');
    const reply = await transport.handler(to('/half'));
    swallow();
    await giveUp('/', 999);
    expect(relay.accepted).toBe(1);
    await giveUp('/', 1);
    expect(await text('/')).toBe('ok');
    expect(relay.accepted).toBe(2);
    // It lives after all.
    swallowed.clear();
    halves[0]?.end('of it');
    expect(await readText(reply)).toBe('half of it');
    await until(() => relay.sockets.size === 1);
  });

  it('is left also if the last that came of it was a part of what was given up', async () => {
    const half = to('/half');
    const reply = await transport.handler(half);
    const part = Promise.withResolvers<void>();
    const over = Promise.withResolvers<unknown>();
    reply.body.attach({ onData: () => part.resolve(), onEnd: () => over.resolve(null), onError: over.resolve });
    await part.promise;
    swallow();
    await clock.advance(5_000);
    half.scope.cancel();
    expect(await over.promise).toMatchObject({ code: 'ERR_CANCELED' });
    await giveUp('/', 999);
    await giveUp('/', 1);
    expect(relay.accepted).toBe(1);
    expect(await text('/')).toBe('ok');
    expect(relay.accepted).toBe(2);
  });

  it('is kept while nobody asks it anything, and for whoever gives up sooner', async () => {
    expect(await text('/')).toBe('ok');
    await clock.advance(3_000);
    await giveUp('/slow', 500);
    expect(await text('/')).toBe('ok');
    await giveUp('/slow', 500);
    expect(await text('/')).toBe('ok');
    expect(relay.accepted).toBe(1);
  });
});

it('a connection over HTTP/2 on which one request is slow and others are not is kept', async () => {
  const slow = to('/slow');
  const failed = rejection(transport.handler(slow));
  await until(() => seen.includes('/slow'));
  for (let i = 0; i < 5; i++) {
    await clock.advance(900);
    expect(await text('/')).toBe('ok');
  }
  await clock.advance(999);
  slow.scope.cancel();
  await failed;
  expect(await text('/')).toBe('ok');
  expect(relay.accepted).toBe(1);
});
