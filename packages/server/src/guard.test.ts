/**
 * Would catch an adapter on which the same request comes to another end than on the others: a handler that runs although
 * a layer refused, an answer that is lost, written twice or leaks what went wrong, and a request that never counts as over.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent, type IncomingMessage } from 'node:http';
import { type Call, CanceledError, ConfigError, createReply, type Middleware, rejected } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { adapters, ask, gateway, recorder, start, stopServers, Wire } from '../tests/harness.js';
import { callOf, createGuard, requestOf, signalOf } from './index.js';

afterEach(stopServers);

/** A guard whose errors a test can look at. */
function quiet(options: Parameters<typeof createGuard>[0] = {}) {
  const errors: unknown[] = [];
  const guard = createGuard({ onError: (error) => errors.push(error), ...options });
  return { guard, errors };
}

describe.each(adapters)('guard under %s', (adapter) => {
  it('turns a request into a call and lets the handler answer', async () => {
    let seen: Call | undefined;
    const layer: Middleware = (call, next) => {
      seen = call;
      return next(call);
    };
    const { guard } = quiet({ service: 'shop', layers: [layer] });
    const { port } = await start(adapter, guard, (req, res) => {
      res.setHeader('x-same', String(callOf(req) === seen && requestOf(seen as Call) === req));
      res.end('hello');
    });
    const answer = await ask(port, { method: 'PUT', path: '/a/b?c=d', headers: { 'X-Thing': 'One' }, body: '12' });
    expect(answer).toMatchObject({ status: 200, body: 'hello', headers: { 'x-same': 'true' } });
    expect(seen).toMatchObject({
      service: 'shop',
      method: 'PUT',
      path: '/a/b?c=d',
      idempotent: true,
      attempt: 1,
      body: null,
    });
    const pairs = seen?.headers as string[];
    expect(pairs[pairs.indexOf('x-thing') + 1]).toBe('One');
  });

  it('tells layers of the head when it is written, and of the end when the body is', async () => {
    const { layer, replies, ends } = recorder();
    const { guard } = quiet({ layers: [layer] });
    const rest = gateway();
    const { port } = await start(adapter, guard, async (_req, res) => {
      res.statusCode = 201;
      res.setHeader('x-kind', 'stream');
      res.write('first ');
      await rest.opened;
      res.end('last');
    });
    const wire = await Wire.open(port);
    wire.get('/');
    await wire.hears('first');
    expect(replies[0]).toMatchObject({ status: 201, headers: { 'x-kind': 'stream' }, endpoint: null });
    let over = false;
    void ends[0]?.then(() => {
      over = true;
    });
    await Promise.resolve();
    expect(over).toBe(false);
    rest.open();
    await wire.hears('last');
    expect(await ends[0]).toBeNull();
    wire.socket.destroy();
  });

  it.each([
    ['an object', { 'X-Kind': 'given', 'x-many': ['a', 'b'] }],
    ['names and values in turn', ['X-Kind', 'given', 'x-many', ['a', 'b']]],
    [
      'a list of pairs',
      [
        ['X-Kind', 'given'],
        ['x-many', ['a', 'b']],
      ],
    ],
  ])('tells layers of headers that were given to writeHead as %s', async (_how, given) => {
    const headers: unknown[] = [];
    const layer: Middleware = async (call, next) => {
      const reply = await next(call);
      headers.push({ ...reply.headers });
      return reply;
    };
    // Express has always set one already, and Node takes no pairs then.
    const under = Array.isArray(given[0 as never]) ? 'node' : adapter;
    const { guard } = quiet({ layers: [layer] });
    const { port } = await start(under, guard, (req, res) => {
      if (req.url === '/both') res.setHeader('x-set', '1');
      res.writeHead(201, given as never).end();
    });
    await ask(port);
    expect(headers[0]).toMatchObject({ 'x-kind': 'given', 'x-many': ['a', 'b'] });
    if (!Array.isArray(given)) {
      await ask(port, { path: '/both' });
      expect(headers[1]).toMatchObject({ 'x-kind': 'given', 'x-set': '1' });
    }
  });

  it.each([
    [
      'a handler that throws',
      () => {
        throw new Error('secret');
      },
    ],
    ['a handler that is rejected', () => Promise.reject(new Error('secret'))],
    [
      'a handler that is rejected later',
      async () => {
        await null;
        throw new Error('secret');
      },
    ],
  ])('answers 500 for %s', async (_what, handler) => {
    const { layer, replies, ends } = recorder();
    const { guard, errors } = quiet({ layers: [layer] });
    const { port } = await start(adapter, guard, handler);
    const answer = await ask(port);
    expect(answer.status).toBe(500);
    expect(replies[0]?.status).toBe(500);
    expect(await ends[0]).toBeNull();
    // Frameworks have error handlers of their own, which are asked first.
    if (adapter !== 'node') return;
    expect(JSON.parse(answer.body)).toEqual({ title: 'Internal server error', status: 500 });
    expect(errors).toMatchObject([{ message: 'secret' }]);
  });

  // Hono writes itself what its handlers give back; one that fails while it does so is in the conformance suite.
  it.skipIf(adapter === 'hono' || adapter === 'fetch')(
    'breaks off an answer whose handler fails in the middle',
    async () => {
      const { layer, ends } = recorder();
      const { guard } = quiet({ layers: [layer] });
      const { port } = await start(adapter, guard, async (_req, res) => {
        res.write('half');
        await null;
        throw new Error('secret');
      });
      await expect(ask(port)).rejects.toMatchObject({ code: 'ECONNRESET' });
      expect(await ends[0]).toBeInstanceOf(CanceledError);
    },
  );

  it('leaves a complete answer alone when its handler fails afterwards', async () => {
    const { guard } = quiet();
    const { port } = await start(adapter, guard, async (_req, res) => {
      res.end('whole');
      throw new Error('too late to matter');
    });
    expect(await ask(port)).toMatchObject({ status: 200, body: 'whole' });
  });

  it.each([
    ['is rejected', () => Promise.reject(new Error('secret'))],
    ['is rejected without a reason', () => Promise.reject()],
    [
      'throws',
      () => {
        throw new Error('secret');
      },
    ],
  ] as const)('answers 500 for a layer that %s, without running the handler', async (_how, layer) => {
    const { guard } = quiet({ layers: [layer as Middleware] });
    let ran = false;
    const { port } = await start(adapter, guard, (_req, res) => {
      ran = true;
      res.end();
    });
    const answer = await ask(port);
    expect(answer.status).toBe(500);
    if (adapter === 'node') expect(answer.body).not.toContain('secret');
    expect(ran).toBe(false);
  });

  it('answers what a gate refuses with 503, safe to send elsewhere, with jitter', async () => {
    const clock = new VirtualClock({ seed: 7 });
    const events: unknown[] = [];
    const layers: Middleware[] = [
      (call) => Promise.reject(rejected('concurrency', call.service, 'full: 10.1.2.3', 1_500)),
    ];
    const { guard } = quiet({ service: 'shop', layers, runtime: { clock, on: (event) => events.push(event) } });
    let ran = 0;
    const { port } = await start(adapter, guard, () => ran++);
    const waits = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const answer = await ask(port, { method: 'POST', body: 'x' });
      expect(answer.status).toBe(503);
      expect(answer.headers).toMatchObject({
        'x-fairlead-nack': 'retryable',
        'content-type': 'application/problem+json',
      });
      expect(JSON.parse(answer.body)).toEqual({
        type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
        title: 'Temporarily reduced capacity',
        status: 503,
      });
      waits.add(String(answer.headers['retry-after']));
    }
    expect([...waits].sort()).toEqual(['2', '3', '4']);
    expect(ran).toBe(0);
    expect(events).toContainEqual({
      type: 'request.refused',
      service: 'shop',
      by: 'concurrency',
      status: 503,
      key: null,
    });
    expect(clock.pending).toBe(0);
  });

  it('sends a reply that a layer has made itself', async () => {
    const layers: Middleware[] = [
      async () =>
        createReply({
          status: 203,
          headers: { 'x-from': 'layer', connection: 'upgrade', 'set-cookie': ['a=1', 'b=2'] },
          body: 'cached',
        }),
    ];
    const { guard } = quiet({ layers });
    const { port } = await start(adapter, guard, () => {
      throw new Error('must not run');
    });
    const answer = await ask(port);
    expect(answer).toMatchObject({
      status: 203,
      body: 'cached',
      headers: { 'x-from': 'layer', 'set-cookie': ['a=1', 'b=2'] },
    });
    expect(answer.headers.connection).not.toBe('upgrade');
  });

  it('cancels the scope when the client goes away before the head', async () => {
    const { layer, errors: seen } = recorder();
    const { guard, errors } = quiet({ layers: [layer] });
    const started = gateway<IncomingMessage>();
    const { port } = await start(adapter, guard, (req) => started.open(req));
    const wire = await Wire.open(port);
    wire.get('/');
    const req = await started.opened;
    const signal = signalOf(req) as AbortSignal;
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
    expect(signal.aborted).toBe(false);
    wire.socket.destroy();
    await aborted;
    expect(signal.reason).toBeInstanceOf(CanceledError);
    expect(callOf(req)?.scope.canceled).toBe(true);
    await Promise.resolve();
    expect(seen).toEqual([signal.reason]);
    // A client that hangs up is no failure of ours.
    expect(errors).toEqual([]);
  });

  it('cancels the scope when an upload is broken off', async () => {
    const { guard } = quiet();
    const started = gateway<IncomingMessage>();
    const { port } = await start(adapter, guard, (req) => {
      req.on('data', () => started.open(req));
      req.on('error', () => {});
    });
    const wire = await Wire.open(port);
    wire.say('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nsome');
    const req = await started.opened;
    const aborted = new Promise((resolve) => signalOf(req)?.addEventListener('abort', resolve));
    wire.socket.resetAndDestroy();
    await aborted;
  });

  it('tells nobody of a deadline that passed before the client went away', async () => {
    const clock = new VirtualClock();
    const { layer, errors: seen } = recorder();
    const { guard, errors } = quiet({ layers: [layer], maxTimeoutMs: 50, runtime: { clock } });
    const started = gateway<IncomingMessage>();
    const { port } = await start(adapter, guard, (req) => started.open(req));
    const wire = await Wire.open(port);
    wire.get('/');
    const req = await started.opened;
    await clock.advance(50);
    const closed = new Promise((resolve) => req.socket.once('close', resolve));
    wire.socket.destroy();
    await closed;
    await clock.advance(0);
    expect(seen).toMatchObject([{ code: 'ERR_TIMEOUT' }]);
    expect(errors).toEqual([]);
  });

  it('does not run the handler for a client that left while a layer was waiting', async () => {
    const waiting = gateway<Call>();
    const free = gateway();
    const passed = gateway<unknown>();
    const layers: Middleware[] = [
      async (call, next) => {
        waiting.open(call);
        await free.opened;
        const answer = next(call);
        passed.open(answer.catch((error: unknown) => error));
        return answer;
      },
    ];
    const { guard, errors } = quiet({ layers });
    let ran = 0;
    const { port } = await start(adapter, guard, () => ran++);
    const wire = await Wire.open(port);
    wire.get('/');
    const call = await waiting.opened;
    const gone = new Promise<void>((resolve) => call.scope.watch({ onCancel: () => resolve() }));
    wire.socket.destroy();
    await gone;
    free.open();
    expect(await passed.opened).toBeInstanceOf(CanceledError);
    expect(ran).toBe(0);
    expect(errors).toEqual([]);
  });

  it('keeps a connection for further requests, after refusals too', async () => {
    const layers: Middleware[] = [
      (call, next) => (call.path === '/no' ? Promise.reject(rejected('limit', null, 'no', 1_000)) : next(call)),
    ];
    const { guard } = quiet({ layers });
    const { port, server } = await start(adapter, guard, (_req, res) => res.end('yes'));
    let connections = 0;
    server.on('connection', () => connections++);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const [path, status] of [
      ['/', 200],
      ['/no', 429],
      ['/', 200],
      ['/no', 429],
    ] as const) {
      expect((await ask(port, { path, agent, method: 'POST', body: 'abc' })).status).toBe(status);
    }
    expect(connections).toBe(1);
    agent.destroy();
  });

  it('answers requests that were sent ahead in their order', async () => {
    const { guard } = quiet();
    const first = gateway();
    const { port } = await start(adapter, guard, async (req, res) => {
      if (req.url === '/1') await first.opened;
      if (req.url === '/2') first.open();
      res.end(`answer ${req.url}`);
    });
    const wire = await Wire.open(port);
    wire.say(['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''));
    const heard = await wire.hears('answer /3');
    expect(heard.match(/answer \/\d/g)).toEqual(['answer /1', 'answer /2', 'answer /3']);
    wire.socket.destroy();
  });

  it('ends every request of a connection that is lost while some wait for their turn', async () => {
    const { layer, replies, errors: seen, ends } = recorder();
    const { guard } = quiet({ layers: [layer] });
    const all = gateway<Call[]>();
    const calls: Call[] = [];
    const { port } = await start(adapter, guard, (req, res) => {
      calls.push(callOf(req) as Call);
      if (req.url === '/2') res.end('ready, but not its turn');
      if (calls.length === 3) all.open(calls);
    });
    const wire = await Wire.open(port);
    wire.say(['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''));
    await all.opened;
    const gone = calls.map((call) => new Promise<void>((resolve) => call.scope.watch({ onCancel: () => resolve() })));
    wire.socket.destroy();
    await Promise.all(gone);
    expect(replies).toHaveLength(1);
    expect(await ends[0]).toBeInstanceOf(CanceledError);
    await Promise.resolve();
    expect(seen).toHaveLength(2);
  });

  it('copes with a client that sends far ahead', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    const { guard } = quiet();
    const all = gateway();
    let count = 0;
    const { port } = await start(adapter, guard, async (_req, res) => {
      if (++count === 30) all.open();
      await all.opened;
      res.end('answer');
    });
    const wire = await Wire.open(port);
    wire.say('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(30));
    await wire.hears('answer', 30);
    wire.socket.destroy();
    process.off('warning', warned);
    expect(warnings).toEqual([]);
  });

  it('answers HEAD without a body, refusals too', async () => {
    const layers: Middleware[] = [
      (call, next) => (call.path === '/no' ? Promise.reject(rejected('limit', null, 'no', 1)) : next(call)),
    ];
    const { guard } = quiet({ layers });
    const { port } = await start(adapter, guard, (_req, res) => res.end('yes'));
    expect(await ask(port, { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
    const wire = await Wire.open(port);
    wire.say('HEAD /no HTTP/1.1\r\nhost: x\r\n\r\n');
    const heard = await wire.hears('\r\n\r\n');
    expect(heard).toMatch(/^HTTP\/1\.1 429 /);
    expect(heard).not.toContain('quota-exceeded');
    wire.socket.destroy();
  });

  it('does not touch the answer of a handler because of a layer that fails meanwhile', async () => {
    const layers: Middleware[] = [
      (call, next) => {
        void next(call);
        return Promise.reject(new Error('a layer that lost patience'));
      },
    ];
    const { guard, errors } = quiet({ layers });
    const { port } = await start(adapter, guard, async (_req, res) => {
      await null;
      await null;
      res.setHeader('x-own', '1');
      res.end('mine');
    });
    expect(await ask(port)).toMatchObject({ status: 200, body: 'mine', headers: { 'x-own': '1' } });
    expect(errors).toMatchObject([{ message: 'a layer that lost patience' }]);
  });

  it('runs the handler once, however often a layer asks', async () => {
    const layers: Middleware[] = [
      async (call, next) => {
        await next(call);
        return next(call);
      },
    ];
    const { guard } = quiet({ layers });
    let ran = 0;
    const { port } = await start(adapter, guard, (_req, res) => {
      ran++;
      res.end('once');
    });
    expect((await ask(port)).body).toBe('once');
    expect(ran).toBe(1);
  });

  it('runs the handler in the context of the call that the layers made', async () => {
    const store = new AsyncLocalStorage<Call>();
    const layers: Middleware[] = [(call, next) => next(call.with({ service: 'renamed', scope: call.scope.child() }))];
    const { guard } = quiet({ layers, run: (call, work) => store.run(call, work) });
    const { port } = await start(adapter, guard, async (req, res) => {
      await null;
      res.end(`${store.getStore()?.service} ${store.getStore() === callOf(req)}`);
    });
    expect((await ask(port)).body).toBe('renamed true');
  });

  it('can stand behind another guard', async () => {
    const inner = recorder();
    const outer = recorder();
    const behind = quiet({ service: 'inner', layers: [inner.layer] }).guard;
    const before = quiet({ service: 'outer', layers: [outer.layer] }).guard;
    let call: Call | undefined;
    const listener = behind.node((req, res) => {
      call = callOf(req);
      res.end('in');
    });
    const { port } = await start(adapter, before, listener);
    expect((await ask(port)).body).toBe('in');
    expect(call?.service).toBe('inner');
    expect(await Promise.all([inner.ends[0], outer.ends[0]])).toEqual([null, null]);
  });

  it('leaves nothing behind when requests end well, badly, and not at all', async () => {
    const clock = new VirtualClock();
    const { guard } = quiet({ maxTimeoutMs: 60_000, runtime: { clock } });
    const started = gateway<Call>();
    const { port } = await start(adapter, guard, (req, res) => {
      if (req.url === '/hang') started.open(callOf(req) as Call);
      else if (req.url === '/throw') throw new Error('x');
      else res.end();
    });
    await Promise.all([ask(port), ask(port, { path: '/throw' })]);
    const wire = await Wire.open(port);
    wire.get('/hang');
    const hanging = await started.opened;
    expect(clock.pending).toBe(1);
    const gone = new Promise<void>((resolve) => hanging.scope.watch({ onCancel: () => resolve() }));
    wire.socket.destroy();
    await gone;
    expect(clock.pending).toBe(0);
  });
});

describe('express only', () => {
  it('hands errors of layers to the error handlers of the application', async () => {
    const { default: express } = await import('express');
    const { createServer } = await import('node:http');
    const { listen } = await import('../tests/harness.js');
    const { guard, errors } = quiet({ layers: [() => Promise.reject(new Error('from a layer'))] });
    const app = express();
    app.use('/api', guard.express());
    app.use((error: Error, _req: IncomingMessage, res: import('express').Response, _next: unknown) => {
      res.status(418).send(error.message);
    });
    const port = await listen(createServer(app));
    expect(await ask(port, { path: '/api/x' })).toMatchObject({ status: 418, body: 'from a layer' });
    expect(errors).toEqual([]);
  });

  it('sees the whole path when it is mounted below one', async () => {
    const { default: express } = await import('express');
    const { createServer } = await import('node:http');
    const { listen } = await import('../tests/harness.js');
    let path = '';
    const { guard } = quiet({
      layers: [
        (call, next) => {
          path = call.path;
          return next(call);
        },
      ],
    });
    const app = express();
    app.use('/api', guard.express(), (_req, res) => {
      res.json({});
    });
    const port = await listen(createServer(app));
    await ask(port, { path: '/api/x?y=1' });
    expect(path).toBe('/api/x?y=1');
  });
});

describe('options of guard', () => {
  it('are checked all at once', () => {
    const make = (): unknown => createGuard({ service: '', layers: [1], maxTimeoutMs: 0, onErr: null } as never);
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(/guard\.service[\s\S]*guard\.layers[\s\S]*guard\.maxTimeoutMs[\s\S]*did you mean onError/);
  });

  it('a call that came in another way is told from one that came through a guard', async () => {
    const { createCall } = await import('@fairlead/core');
    const call = createCall({ service: 's', runtime: { clock: new VirtualClock() } });
    expect(() => requestOf(call)).toThrow(TypeError);
    expect(signalOf({} as IncomingMessage)).toBeUndefined();
    expect(callOf({} as IncomingMessage)).toBeUndefined();
  });
});
