// Catches: a bridge that makes other calls than were asked for, that keeps a caller waiting for what is there, loses
// cancellations, or hangs when a layer does what it should not. Handlers of our own, no network.
import { once } from 'node:events';
import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  type Call,
  CanceledError,
  type Clock,
  createEndpoint,
  createReply,
  type Handler,
  type OnceBody,
  type Reply,
  type ReplyBody,
  rejected,
  Scope,
  systemClock,
  TransportError,
} from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { gate, nextTurn, rejection } from '../../test/servers.js';
import { createBridge } from './bridge.js';

const restore: (() => void)[] = [];
afterEach(() => {
  for (const each of restore.splice(0)) each();
});

/** Answers calls to `svc` and `svc:8080` with `handler`, and keeps them. */
function bridge(handler: Handler, parent: Scope | null = null, clock: Clock = systemClock): Call[] {
  const calls: Call[] = [];
  const route = {
    service: 'svc',
    runtime: { clock },
    parentScope: () => parent,
    handler: (call: Call) => {
      calls.push(call);
      return handler(call);
    },
  };
  const hosts = new Set(['svc', 'svc:8080', '[::1]:8080']);
  restore.push(createBridge({ route: (host) => (hosts.has(host) ? route : null) }).install());
  return calls;
}

const ok: Handler = () => Promise.resolve(createReply({ body: 'ok' }));

async function send(options: RequestOptions = {}, ...body: (string | Buffer)[]): Promise<IncomingMessage> {
  const request = http.request({ host: 'svc', agent: false, ...options });
  for (const piece of body) request.write(piece);
  request.end();
  return (await once(request, 'response'))[0];
}

/** A reply whose body the test writes. */
function openReply(headers: Reply['headers'] = {}) {
  const sinks: Parameters<ReplyBody['attach']>[0][] = [];
  const canceled: unknown[] = [];
  const body: ReplyBody = {
    attach: (sink) => void sinks.push(sink),
    pause: () => {},
    resume: () => {},
    cancel: (reason) => void canceled.push(reason),
  };
  const reply: Reply = {
    ...createReply({ status: 200 }),
    status: 200,
    headers,
    body,
    at: 0,
    endpoint: null,
    onEnd: () => {},
  };
  return { reply, canceled, sink: () => sinks[0] as Parameters<ReplyBody['attach']>[0] };
}

describe('what is called', () => {
  it.each([
    ['a port', { port: 8080 }],
    ['upper case', { host: 'SVC' }],
    ['the default port', { port: 80 }],
    ['an IPv6 address', { host: '::1', port: 8080 }],
    ['a hostname', { host: 'elsewhere', hostname: 'svc' }],
  ])('a host with %s', async (_, options) => {
    const calls = bridge(ok);
    await send({ path: '/a?b', ...options });
    expect(calls.map(({ service, method, path, headers }) => [service, method, path, headers])).toEqual([
      ['svc', 'GET', '/a?b', []],
    ]);
  });

  it('the path of a URL, should the client believe to speak to a proxy; no other URL', async () => {
    const calls = bridge(ok);
    await send({ path: 'http://svc/a?b' });
    await send({ path: 'http://other/a' });
    await send({ method: 'OPTIONS', path: '*' });
    expect(calls.map(({ path }) => path)).toEqual(['/a?b', 'http://other/a', '*']);
  });

  it.each([
    ['no body', {}, [], null],
    ['an empty body', { 'content-length': '0' }, [], null],
    ['a small one with its length', { 'content-length': '4' }, ['body'], 'body'],
    ['a small one that was written in pieces', {}, ['bo', 'dy'], 'body'],
  ])('with %s', async (_, headers, pieces, expected) => {
    const calls = bridge(ok);
    await send({ method: 'POST', headers }, ...pieces);
    const { body } = calls[0] as Call;
    // Bytes: they can be sent again.
    expect(body === null ? null : Buffer.from(body as Uint8Array).toString()).toBe(expected);
  });

  it.each([
    ['that is large', { 'content-length': '65537' }, 65_537],
    ['that has not ended', {}, undefined],
  ])('with a body %s, once and as it comes', async (_, headers, length) => {
    const calls = bridge(async (call) => {
      let size = 0;
      for await (const chunk of (call.body as OnceBody).once) size += chunk.length;
      return createReply({ body: String(size) });
    });
    const request = http.request({ host: 'svc', agent: false, method: 'POST', headers });
    request.write(Buffer.alloc(65_000));
    while (calls.length === 0) await nextTurn();
    expect((calls[0] as Call & { body: OnceBody }).body.length).toBe(length);
    request.end(Buffer.alloc(537));
    expect(await text((await once(request, 'response'))[0])).toBe('65537');
  });

  it('with a body that nobody reads to its end', async () => {
    bridge(async (call) => {
      for await (const _ of (call.body as OnceBody).once) break;
      return createReply({ body: 'enough' });
    });
    const agent = new http.Agent({ keepAlive: true });
    for (let i = 0; i < 2; i++) {
      const request = http.request({ host: 'svc', agent, method: 'POST' });
      for (let n = 0; n < 20; n++) request.write(Buffer.alloc(65_000));
      const [reply] = (await once(request, 'response')) as [IncomingMessage];
      expect(await text(reply)).toBe('enough');
      request.end();
      await once(request, 'close');
    }
    expect(Object.keys(agent.sockets)).toEqual([]);
    agent.destroy();
  });
});

describe('a client that waits to be told to continue', () => {
  const ask = (headers: http.OutgoingHttpHeaders): http.ClientRequest => {
    const request = http.request({
      host: 'svc',
      agent: false,
      method: 'POST',
      headers: { expect: '100-Continue', ...headers },
    });
    request.flushHeaders();
    return request;
  };

  it('is told so at once if its body is small, which is then sent whole', async () => {
    const calls = bridge(ok);
    const request = ask({ 'content-length': 4 });
    await once(request, 'continue');
    expect(calls).toEqual([]);
    request.end('body');
    await once(request, 'response');
    expect(String((calls[0] as Call).body)).toBe('body');
  });

  it.each([{ 'content-length': 100_000 }, { 'transfer-encoding': 'chunked' }])(
    'is told so when its body is wanted (%o)',
    async (headers) => {
      const wanted = gate();
      const calls = bridge(async (call) => {
        await wanted.promise;
        let size = 0;
        for await (const chunk of (call.body as OnceBody).once) size += chunk.length;
        return createReply({ body: String(size) });
      });
      const request = ask(headers);
      let told = false;
      request.on('continue', () => (told = true));
      while (calls.length === 0) await nextTurn();
      for (let n = 0; n < 5; n++) await nextTurn();
      expect(told).toBe(false);
      wanted.open();
      await once(request, 'continue');
      request.end(Buffer.alloc(100_000));
      expect(await text((await once(request, 'response'))[0])).toBe('100000');
    },
  );

  it('is not told so if it has its answer before, and the connection ends with that', async () => {
    bridge(() => Promise.resolve(createReply({ status: 413 })));
    const request = ask({ 'content-length': 100_000 });
    request.on('continue', () => expect.unreachable());
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    expect([reply.statusCode, reply.headers.connection]).toEqual([413, 'close']);
    request.on('error', () => {}).destroy();
  });
});

describe('what comes back', () => {
  it('the head at once, though nothing of the body is there', async () => {
    const { reply, sink } = openReply({ 'content-type': 'text/event-stream' });
    bridge(() => Promise.resolve(reply));
    const answer = await send();
    sink().onData(Buffer.from('event'));
    expect(String((await once(answer, 'data'))[0])).toBe('event');
    sink().onEnd({});
    await once(answer, 'end');
  });

  it('nothing of the connection to the endpoint, and no date but that of the endpoint', async () => {
    const headers = {
      connection: 'close',
      'keep-alive': 'timeout=1',
      'transfer-encoding': 'gzip',
      trailer: 'x',
      te: 'y',
    };
    bridge(() => Promise.resolve(createReply({ headers })));
    const agent = new http.Agent({ keepAlive: true });
    expect((await send({ agent })).headers).toEqual({ connection: 'keep-alive', 'transfer-encoding': 'chunked' });
    agent.destroy();
  });

  it.each([
    ['text/event-stream; charset=utf-8', Number.POSITIVE_INFINITY],
    ['text/plain', 1e9],
  ])('a body of %s, with its own notion of time', async (type, deadlineAt) => {
    const { reply, sink } = openReply({ 'content-type': type });
    const calls = bridge((call) => {
      call.scope.expireAt(1e9, 'call', 1e9);
      return Promise.resolve(reply);
    });
    await send();
    const [call] = calls;
    expect(call?.scope.deadlineAt).toBe(deadlineAt);
    sink().onEnd({});
    call?.scope.dropTimeout();
  });

  it('what the layers make of a time that is up', async () => {
    const standIn = createReply({ body: 'stand-in' });
    bridge(({ scope }) => {
      scope.expireAt(systemClock.now() + 1, 'call', 1);
      return new Promise((resolve) => scope.watch({ onCancel: () => queueMicrotask(() => resolve(standIn)) }));
    });
    expect(await text(await send())).toBe('stand-in');
  });

  it('what arrived with the head, and then the end of a body that broke off', async () => {
    const { reply } = openReply();
    const broken: Reply = {
      ...reply,
      body: {
        ...reply.body,
        attach(sink) {
          sink.onData(Buffer.from('half'));
          sink.onError(new Error('cut'));
        },
      },
    };
    bridge(() => Promise.resolve(broken));
    const answer = await send();
    let seen = '';
    answer.on('data', (chunk) => {
      seen += chunk;
    });
    expect((await once(answer, 'error'))[0]).toMatchObject({ code: 'ECONNRESET' });
    expect(seen).toBe('half');
  });

  it('where it came from, where the socket says it', async () => {
    const endpoint = createEndpoint('http://10.0.0.5:8080');
    bridge(() => Promise.resolve({ ...openReply().reply, endpoint }));
    const { socket } = await send();
    expect([socket.remoteAddress, socket.remotePort, socket.remoteFamily]).toEqual(['10.0.0.5', 8080, 'IPv4']);
    socket.destroy();
  });

  it.each([
    ['a header', { headers: { bad: 'a\nb' } }],
    ['a status', { status: 42 }],
  ])('an error, should a layer make a reply with %s that cannot be', async (_, wrong) => {
    const { reply, canceled } = openReply();
    bridge(() => Promise.resolve({ ...reply, ...wrong }));
    expect(await rejection(send())).toMatchObject({
      code: expect.stringMatching(/^ERR_(INVALID_CHAR|HTTP_INVALID_STATUS_CODE)$/),
    });
    expect(canceled.length).toBe(1);
  });
});

describe('errors', () => {
  const where = { phase: 'wait', sent: 'maybe' } as const;
  const undici = (code: string): Error => Object.assign(new Error('undici'), { code });
  it.each([
    ['our refusals as they are', rejected('limit', 'svc', 'no'), { code: 'ERR_REJECTED', by: 'limit' }],
    [
      'those of the system as they are',
      new TransportError({ ...where, cause: undici('ECONNREFUSED') }),
      { code: 'ECONNREFUSED', message: 'undici' },
    ],
    [
      'a lost connection',
      new TransportError({ ...where, cause: undici('UND_ERR_SOCKET') }),
      { code: 'ECONNRESET', message: 'socket hang up' },
    ],
    [
      'one that took too long',
      new TransportError({ ...where, cause: undici('UND_ERR_CONNECT_TIMEOUT') }),
      { code: 'ETIMEDOUT' },
    ],
    ['a closed client', new TransportError({ phase: 'closed', sent: 'no' }), { code: 'ERR_TRANSPORT' }],
    ['what is no error', 'why', { code: 'ERR_CANCELED', cause: 'why' }],
  ])('%s', async (_, thrown, expected) => {
    bridge(() => Promise.reject(thrown));
    expect(await rejection(send())).toMatchObject(expected);
  });

  it('of a handler that throws', async () => {
    bridge(() => {
      throw new Error('a layer is broken');
    });
    expect(await rejection(send())).toMatchObject({ message: 'a layer is broken' });
  });

  it('of a scope above, before the call and while it is under way', async () => {
    const parent = new Scope(systemClock);
    const calls = bridge(() => new Promise(() => {}), parent);
    const waiting = rejection(send());
    while (calls.length === 0) await nextTurn();
    const reason = new CanceledError({ message: 'the inbound request is over' });
    parent.cancel(reason);
    expect(await waiting).toBe(reason);
    expect(await rejection(send())).toBe(reason);
    expect(calls.length).toBe(1);
  });
});

describe('a client that goes away', () => {
  it('before its body is complete: no call is made', async () => {
    const calls = bridge(ok);
    const request = http.request({ host: 'svc', agent: false, method: 'POST', headers: { 'content-length': '10' } });
    request.on('error', () => {});
    request.write('half');
    await nextTurn();
    const closed = new Promise((resolve) => request.once('close', resolve));
    request.destroy();
    await closed;
    expect(calls).toEqual([]);
  });

  it('while it waits: the scope is canceled, and a reply that comes all the same is let go', async () => {
    const { reply, canceled } = openReply();
    let answer: (reply: Reply) => void = () => {};
    const calls = bridge(() => new Promise((resolve) => (answer = resolve)));
    const request = http.get({ host: 'svc', agent: false });
    request.on('error', () => {});
    while (calls.length === 0) await nextTurn();
    request.destroy();
    expect(calls[0]?.scope.canceled).toBe(true);
    expect(calls[0]?.scope.busy).toBe(false);
    answer(reply);
    await nextTurn();
    expect(canceled.length).toBe(1);
  });

  it('in the middle of the answer: the rest is not wanted', async () => {
    const { reply, canceled, sink } = openReply();
    const calls = bridge(() => Promise.resolve(reply));
    const answer = await send();
    answer.destroy();
    expect(calls[0]?.scope.canceled).toBe(true);
    expect(canceled.length).toBe(1);
    // Too late, and of no consequence.
    sink().onData(Buffer.from('x'));
    sink().onEnd({});
  });
});

describe('the socket', () => {
  it('is a socket to those who look', async () => {
    bridge(ok);
    const request = http.get({ host: 'svc', agent: false });
    const answered = once(request, 'response');
    const socket = await new Promise<Socket>((resolve) => {
      request.once('socket', (socket) => {
        expect(socket.connecting).toBe(true);
        socket.once('lookup', (error, ...found) => {
          expect([error, ...found]).toEqual([null, null, null, 'svc']);
          socket.once('connect', () => resolve(socket));
        });
      });
    });
    expect([socket.connecting, socket.address()]).toEqual([false, {}]);
    expect(socket.setNoDelay().setKeepAlive().ref().unref()).toBe(socket);
    expect(socket.remoteAddress).toBeUndefined();
    const listener = (): void => {};
    socket.setTimeout(1_000, listener);
    expect([socket.timeout, socket.listeners('timeout').includes(listener)]).toEqual([1_000, true]);
    socket.setTimeout(0, listener);
    expect(socket.listeners('timeout')).not.toContain(listener);
    await answered;
    socket.destroy();
  });

  it.each([
    ['of the request', { agent: false, timeout: 1_000 }],
    ['of the agent', { agent: new http.Agent({ timeout: 1_000 }) }],
  ] as const)('tells of the timeout %s, and leaves no timer behind', async (_, options) => {
    const clock = new VirtualClock();
    const calls = bridge(() => new Promise(() => {}), null, clock);
    const told: number[] = [];
    for (const destroyed of [true, false]) {
      const request = http.get({ host: 'svc', ...options });
      request.on('error', () => {}).on('timeout', () => told.push(clock.now()));
      while (calls.length < (destroyed ? 1 : 2)) await nextTurn();
      if (destroyed) {
        request.destroy();
        expect(clock.pending).toBe(0);
      }
      await clock.advance(1_000);
      request.destroy();
    }
    expect(told).toEqual([2_000]);
    expect(clock.pending).toBe(0);
  });

  it('is not seen by who watches all servers', async () => {
    bridge(ok);
    const seen: unknown[] = [];
    const watched = vi.spyOn(http.Server.prototype, 'emit').mockImplementation((name) => seen.push(name) > 0);
    await send();
    watched.mockRestore();
    expect(seen).toEqual([]);
  });

  it('is let go of after the answer that is under way when the bridge is removed', async () => {
    const { reply, sink } = openReply();
    bridge(() => Promise.resolve(reply));
    const agent = new http.Agent({ keepAlive: true });
    const answer = await send({ agent });
    const { socket } = answer;
    for (const each of restore.splice(0)) each();
    expect(socket.destroyed).toBe(false);
    sink().onData(Buffer.from('whole'));
    sink().onEnd({});
    expect(await text(answer)).toBe('whole');
    while (!socket.destroyed) await nextTurn();
    expect(agent.freeSockets).toEqual({});
  });

  it('is the last that was installed, then what was there before', async () => {
    const first = bridge(ok);
    const [removeFirst] = restore;
    const second = bridge(ok);
    await send();
    expect([first.length, second.length]).toEqual([0, 1]);
    // Out of turn: the second stays in front and passes on to nobody.
    removeFirst?.();
    await send();
    expect([first.length, second.length]).toEqual([0, 2]);
  });
});
