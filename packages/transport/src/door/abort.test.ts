/**
 * Catches an abort that is delivered late, twice or not at all, that lets the stack go on working, that forgets to close
 * the body it was sending, or that leaves load behind: in every phase of a request.
 */
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { createEndpoint, createReply, type Middleware, type Reply } from '@fairlead/core';
import { afterEach, describe, expect, it } from 'vitest';
import { callers, type Seen, type World, type WorldOptions, world } from '../../test/door.js';
import { httpServer, nextTurn, rawServer, rejection, type TestServer, until } from '../../test/servers.js';
import type { Dispatcher } from '../undici.js';

let here: World | null = null;
const servers: TestServer[] = [];

afterEach(async () => {
  const made = here;
  here = null;
  if (made !== null) {
    await until(() => made.busy === 0);
    await made.close();
  }
  for (const server of servers.splice(0)) await server.close();
});

async function silent(): Promise<TestServer> {
  const server = await rawServer(() => {});
  servers.push(server);
  return server;
}
function over(server: Pick<TestServer, 'endpoint'>, options?: WorldOptions): World {
  here = world([server.endpoint], options);
  return here;
}

/** Never lets go of a call by itself: only its scope can end it. */
const stuck: Middleware = (call) => new Promise((_, reject) => call.scope.watch({ onCancel: reject }));
/** Does not even listen. */
const deaf: Middleware = () => new Promise(() => {});

const reason = new Error('not any more');

describe.each(callers)('$name', (caller) => {
  it('before anything', async () => {
    const { door, sent } = over(await silent());
    expect(await rejection(caller.call(door, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(sent).toEqual([]);
  });

  it.each<[string, () => Promise<[Pick<TestServer, 'endpoint'>, WorldOptions?]>]>([
    // 192.0.2.0/24 is for documentation (RFC 5737): either nobody answers, or the network says so after the abort.
    ['while connecting', async () => [{ endpoint: createEndpoint('http://192.0.2.1:81') }, { attempts: 1 }]],
    ['while waiting for the head', async () => [await silent()]],
    ['in a layer that waits, as a backoff does', async () => [await silent(), { layers: [stuck] }]],
    ['in a layer that does not listen', async () => [await silent(), { layers: [deaf] }]],
  ])('%s', async (_, setting) => {
    const { door } = over(...(await setting()));
    const controller = new AbortController();
    const failed = rejection(caller.call(door, { signal: controller.signal }));
    await until(() => (here as World).busy > 0);
    controller.abort(reason);
    expect(await failed).toBe(reason);
  });

  it('in the middle of an upload, which is closed', async () => {
    let closed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          yield Buffer.alloc(10_000);
          await nextTurn();
        }
      } finally {
        closed = true;
      }
    }
    const server = await silent();
    const { door } = over(server);
    const controller = new AbortController();
    const ask = { method: 'PUT', body: endless(), signal: controller.signal };
    const failed = rejection(caller.call(door, ask));
    await until(() => server.sockets.size === 1);
    controller.abort(reason);
    expect(await failed).toBe(reason);
    // fetch reads its caller's body for itself, and closes it in its own time if at all (with plain undici too).
    if (caller.name === 'undici.request') await until(() => closed);
  });

  it('in the middle of the body', async () => {
    const server = await httpServer((_, response) => void response.write('begin'));
    servers.push(server);
    const { door } = over(server);
    const controller = new AbortController();
    const seen: Seen = await caller.call(door, { signal: controller.signal });
    const failed = rejection(seen.text());
    controller.abort(reason);
    expect(await failed).toBe(reason);
    await until(() => server.sockets.size === 0);
  });
});

/** A handler that writes down what it is told. */
class Recorder implements Dispatcher.DispatchHandler {
  readonly told: string[] = [];
  controller!: Dispatcher.DispatchController;
  onStart: () => void = () => {};
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    this.told.push('start');
    this.onStart();
  }
  onResponseStart(_: unknown, status: number): void {
    this.told.push(`${status}`);
  }
  onResponseData(): void {
    this.told.push('data');
  }
  onResponseEnd(): void {
    this.told.push('end');
  }
  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.told.push(`error ${error.message} ${controller.aborted} ${controller.reason === error}`);
  }
}

const get = { origin: 'http://svc', path: '/', method: 'GET' } as const;

describe('a handler', () => {
  it('is told at once and once, whatever comes after it', async () => {
    const server = await silent();
    const { door, sent } = over(server);
    const handler = new Recorder();
    expect(door.dispatch(get, handler)).toBe(true);
    await until(() => server.sockets.size === 1);
    handler.controller.abort(reason);
    const told = ['start', 'error not any more true true'];
    expect(handler.told).toEqual(told);
    handler.controller.abort(new Error('again'));
    expect(handler.controller.reason).toBe(reason);
    for (const socket of server.sockets as Set<Socket>) socket.resetAndDestroy();
    await until(() => (here as World).busy === 0);
    expect(handler.told).toEqual(told);
    expect(sent).toHaveLength(1);
  });

  it('may abort before anything is sent', async () => {
    const { door, sent } = over(await silent());
    const handler = new Recorder();
    handler.onStart = () => handler.controller.abort(reason);
    door.dispatch(get, handler);
    expect(handler.told).toEqual(['start', 'error not any more true true']);
    expect(sent).toEqual([]);
  });

  it('gets an error even if it gives no reason', async () => {
    const { door } = over(await silent());
    const handler = new Recorder();
    door.dispatch(get, handler);
    (handler.controller.abort as (reason?: Error) => void)();
    expect(handler.told[1]).toMatch(/^error Request aborted true/);
  });

  it('that aborts for nothing any more changes nothing', async () => {
    const server = await httpServer((_, response) => response.end('x'));
    servers.push(server);
    const { door } = over(server);
    const handler = new Recorder();
    door.dispatch(get, handler);
    await until(() => handler.told.includes('end'));
    handler.controller.abort(reason);
    expect(handler.told).toEqual(['start', '200', 'data', 'end']);
  });

  it.each(['before', 'after'])('lets go of a reply that a layer made %s the abort', async (when) => {
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const { door } = over(await silent(), { layers: [() => promise] });
    const handler = new Recorder();
    door.dispatch(get, handler);
    let canceled = 0;
    const body = { attach() {}, pause() {}, resume() {}, cancel: () => void canceled++ };
    const reply: Reply = { ...createReply(), status: 200, headers: {}, endpoint: null, onEnd() {}, body };
    if (when === 'before') {
      resolve(reply);
      await nextTurn();
      handler.controller.abort(reason);
    } else {
      handler.controller.abort(reason);
      resolve(reply);
      await nextTurn();
    }
    expect(canceled).toBe(1);
  });

  it('that never comes to the connection closes the stream it was to send', async () => {
    const { door } = over({ endpoint: createEndpoint('http://192.0.2.1:81') }, { attempts: 1 });
    const body = new Readable({ read() {} });
    const handler = new Recorder();
    door.dispatch({ ...get, method: 'PUT', body }, handler);
    handler.controller.abort(reason);
    expect([body.destroyed, body.errored]).toEqual([true, reason]);
  });

  it('hears of a stream that fails before anything is sent', async () => {
    const { door } = over({ endpoint: createEndpoint('http://192.0.2.1:81') }, { attempts: 1 });
    const body = new Readable({ read() {} });
    const handler = new Recorder();
    door.dispatch({ ...get, method: 'PUT', body }, handler);
    body.destroy(reason);
    await until(() => handler.told.length > 1);
    expect(handler.told).toEqual(['start', 'error not any more false false']);
  });
});
