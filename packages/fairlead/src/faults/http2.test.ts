// Catches: a call over HTTP/2 that is lost, or sent twice to somebody who has acted on it, when a server says farewell (GOAWAY),
// refuses a stream (REFUSED_STREAM) or resets one; another error than the documented one; a session, a stream or load that is
// left behind. The whole stack with its defaults; what is left behind, every test of a world looks for.
import { once } from 'node:events';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { get, loads, tally, until, worlds } from '../../test/world.js';

const world = worlds();
const REFUSED_STREAM = 7;
const INTERNAL_ERROR = 2;

interface H2 {
  readonly origin: string;
  /** Paths of the requests that were acted on. */
  readonly done: string[];
  /** Streams that were opened. */
  streams: number;
  readonly sockets: Set<Socket>;
  close(): Promise<void>;
}

const open: H2[] = [];
// Before the world looks: hooks of a file run in the reverse order of their making.
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

/** A server; `refuses` says whether it has done away with the stream, of which it is the nth. */
async function h2(
  refuses: (stream: ServerHttp2Stream, n: number, session: ServerHttp2Session) => boolean,
): Promise<H2> {
  const server = createServer();
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  server.on('session', (session: ServerHttp2Session) => session.on('error', () => {}));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    if (refuses(stream, ++site.streams, stream.session as ServerHttp2Session)) return;
    site.done.push(String(headers[':path']));
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const site: H2 = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    done: [],
    streams: 0,
    sockets,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  open.push(site);
  return site;
}

const overHttp2 = { transport: { http2: true }, timeoutMs: 3_000 } as const;
const post = { method: 'POST', body: 'once' } as const;

describe('over HTTP/2', () => {
  it('a stream that is refused is sent again, a POST too, and acted on once', async () => {
    const site = await h2((stream, n) => {
      const refused = n % 2 === 1;
      if (refused) stream.close(REFUSED_STREAM);
      return refused;
    });
    const client = world.service([site.origin], overHttp2);
    for (let i = 0; i < 10; i++)
      expect(await get(client.fetch, post, `http://svc/${i}`)).toMatchObject({ status: 200 });
    expect(site.done).toEqual(Array.from({ length: 10 }, (_, i) => `/${i}`));
    expect(loads(client)).toEqual([0]);
  });

  it('a server that refuses every stream is told as one that has not processed anything, and another one is asked', async () => {
    const refusing = await h2((stream) => {
      stream.close(REFUSED_STREAM);
      return true;
    });
    const alone = world.service([refusing.origin], overHttp2);
    expect(await get(alone.fetch, post)).toMatchObject({ error: { cause: { code: 'ERR_TRANSPORT', sent: 'no' } } });
    const well = await h2(() => false);
    const both = world.service([refusing.origin, well.origin], { ...overHttp2, breaker: false, budget: false });
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => get(both.fetch, post, `http://svc/${i}`)));
    expect(tally(all)).toEqual({ 200: 20 });
    expect(new Set(well.done).size).toBe(20);
    expect(well.done).toHaveLength(20);
  });

  it('a stream that is reset for another reason is repeated to a GET, and to no POST', async () => {
    const reset = (stream: ServerHttp2Stream, n: number): boolean => {
      const first = n % 2 === 1;
      if (first) stream.close(INTERNAL_ERROR);
      return first;
    };
    const site = await h2(reset);
    const client = world.service([site.origin], { ...overHttp2, health: false, breaker: false });
    for (let i = 0; i < 5; i++) expect(await get(client.fetch)).toMatchObject({ status: 200 });
    expect(await get(client.fetch, post)).toMatchObject({
      error: { cause: { code: 'ERR_TRANSPORT', phase: 'wait', sent: 'maybe', attempts: [] } },
    });
  });

  it('a reset in the middle of a body is told to whoever reads it', async () => {
    const site = await h2((stream) => {
      stream.respond({ ':status': 200, 'content-length': 100_000 });
      stream.write('begun', () => stream.close(INTERNAL_ERROR));
      return true;
    });
    const client = world.service([site.origin], overHttp2);
    expect(await get(client.fetch)).toMatchObject({
      error: { message: 'terminated', cause: { code: 'ERR_TRANSPORT', phase: 'body' } },
    });
  });

  it('a farewell (GOAWAY) in the middle of a burst costs no call, and none is acted on twice', async () => {
    const site = await h2((_stream, n, session) => {
      // Every fifth stream is the last one that its connection takes in; streams above it are nobody's.
      if (n % 25 === 5) session.close();
      return false;
    });
    const client = world.service([site.origin], overHttp2);
    const all = await Promise.all(Array.from({ length: 100 }, (_, i) => get(client.fetch, post, `http://svc/${i}`)));
    expect(tally(all)).toEqual({ 200: 100 });
    expect(site.done).toHaveLength(100);
    expect(new Set(site.done).size).toBe(100);
  });

  it('a connection that goes away under a hundred calls ends them all, those that may have arrived with it', async () => {
    const site = await h2((_stream, n, session) => {
      if (n === 100) session.destroy();
      return true;
    });
    const client = world.service([site.origin], { ...overHttp2, attempts: 1 });
    const all = await Promise.all(Array.from({ length: 100 }, () => get(client.fetch, post)));
    expect(tally(all)).toEqual({ 'ERR_TRANSPORT wait': 100 });
  });

  it('callers who give up end their streams, and no other', async () => {
    let ended = 0;
    const site = await h2((stream) => {
      stream.once('close', () => ended++);
      return true;
    });
    const client = world.service([site.origin], { ...overHttp2, attempts: 1, timeoutMs: 1_500 });
    const controller = new AbortController();
    const { signal } = controller;
    const gone = Promise.all(Array.from({ length: 50 }, () => get(client.fetch, { signal })));
    const others = Promise.all(Array.from({ length: 50 }, () => get(client.fetch, {})));
    await until(() => site.streams === 100, 'all streams');
    controller.abort('enough');
    for (const got of await gone) expect(got).toMatchObject({ error: 'enough' });
    await until(() => ended === 50, 'streams of those who gave up');
    expect(loads(client)).toEqual([50]);
    expect(tally(await others)).toEqual({ 'ERR_TIMEOUT call': 50 });
  }, 20_000);
});
