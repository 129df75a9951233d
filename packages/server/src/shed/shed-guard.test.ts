/**
 * Would catch a framework under which a request that waits is lost, served twice, or served out of its async context; a
 * refusal that is not told as one that was not processed, costs the connection, or comes although the client has left; and a
 * place that is never given back.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent } from 'node:http';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { adapters, ask, gateway, listen, start, stopServers, Wire } from '../../tests/harness.js';
import { createGuard, eventLoop, type GuardOptions, type ShedOptions, shed } from '../index.js';

afterEach(stopServers);

/** A guard that lets one handler work at a time. */
function narrow(options: Partial<ShedOptions> = {}, more: Partial<GuardOptions> = {}) {
  const clock = new VirtualClock();
  const shedder = shed({ initialLimit: 1, minLimit: 1, maxLimit: 1, clock, ...options });
  const guard = createGuard({ shed: shedder, runtime: { clock }, ...more });
  return { clock, shedder, guard };
}

async function until(condition: () => boolean): Promise<void> {
  // biome-ignore lint/style/noRestrictedGlobals: real sockets: a turn of the loop is all there is to wait for
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe.each(adapters)('shed under %s', (adapter) => {
  it('lets those who wait in as others are answered, each in its own context', async () => {
    const { guard, shedder } = narrow();
    const gate = gateway();
    const context = new AsyncLocalStorage<string>();
    const seen: string[] = [];
    const { server, port } = await start(adapter, guard, async (req, res) => {
      seen.push(`${req.url} ${context.getStore()}`);
      await gate.opened;
      res.end('done');
    });
    const [listener] = server.listeners('request') as ((...args: unknown[]) => void)[];
    server.removeAllListeners('request');
    server.on('request', (req, res) => context.run(`of ${req.url}`, () => listener?.(req, res)));
    const first = ask(port, { path: '/1' });
    await until(() => shedder.inFlight === 1);
    const second = ask(port, { path: '/2' });
    await until(() => shedder.waiting === 1);
    const third = ask(port, { path: '/3' });
    await until(() => shedder.waiting === 2);
    expect(seen).toEqual(['/1 of /1']);
    gate.open();
    const answers = await Promise.all([first, second, third]);
    expect(answers.map(({ status, body }) => [status, body])).toEqual(Array(3).fill([200, 'done']));
    expect(seen).toEqual(['/1 of /1', '/2 of /2', '/3 of /3']);
    await until(() => shedder.inFlight === 0);
  });

  it('turns away who waits for too long, and says that nothing was processed', async () => {
    const { guard, shedder, clock } = narrow({ maxWaitMs: 50 });
    const gate = gateway();
    const ran: string[] = [];
    const { port } = await start(adapter, guard, async (req, res) => {
      ran.push(req.url as string);
      await gate.opened;
      res.end('done');
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const first = ask(port, { path: '/1' });
    await until(() => shedder.inFlight === 1);
    const second = ask(port, { path: '/2', method: 'POST', body: 'an order', agent });
    await until(() => shedder.waiting === 1);
    await clock.advance(49);
    expect(shedder.waiting).toBe(1);
    await clock.advance(2);
    const { status, headers, body } = await second;
    expect(status).toBe(503);
    expect(headers).toMatchObject({
      'retry-after': expect.stringMatching(/^[123]$/),
      'x-fairlead-nack': 'retryable',
      'content-type': 'application/problem+json',
      connection: 'keep-alive',
    });
    expect(JSON.parse(body)).toMatchObject({ status: 503 });
    gate.open();
    await first;
    // The connection is as good as new, body or not.
    expect(await ask(port, { path: '/3', agent })).toMatchObject({ status: 200 });
    expect(ran).toEqual(['/1', '/3']);
    expect(shedder).toMatchObject({ inFlight: 0, waiting: 0 });
    agent.destroy();
  });

  it('forgets who has left, and gives back the place of a handler whose client has', async () => {
    const { guard, shedder } = narrow();
    const gate = gateway();
    const ran: string[] = [];
    const { port } = await start(adapter, guard, async (req, res) => {
      ran.push(req.url as string);
      await gate.opened;
      res.end('done');
    });
    const first = await Wire.open(port);
    first.get('/1');
    await until(() => shedder.inFlight === 1);
    const second = await Wire.open(port);
    second.get('/2');
    await until(() => shedder.waiting === 1);
    const third = ask(port, { path: '/3' });
    await until(() => shedder.waiting === 2);
    second.socket.destroy();
    await second.closed;
    first.socket.destroy();
    await until(() => ran.length === 2);
    gate.open();
    expect(await third).toMatchObject({ status: 200 });
    expect(ran).toEqual(['/1', '/3']);
    await until(() => shedder.inFlight === 0);
  });

  it('holds a place until the head of an answer, not for as long as a client reads', async () => {
    const { guard, shedder } = narrow();
    const rest = gateway();
    const { port } = await start(adapter, guard, async (req, res) => {
      if (req.url !== '/stream') return void res.end('done');
      res.write('first ');
      await rest.opened;
      res.end('last');
    });
    const wire = await Wire.open(port);
    wire.get('/stream');
    await wire.hears('first');
    expect(shedder.inFlight).toBe(0);
    expect(await ask(port)).toMatchObject({ status: 200 });
    rest.open();
    await wire.hears('last');
    expect(shedder.inFlight).toBe(0);
    wire.socket.destroy();
  });

  it('takes no place from others for handlers that wait for a slow body', async () => {
    const { guard, shedder } = narrow();
    const { port } = await start(adapter, guard, async (req, res) => {
      for await (const _ of req) {
        // Until it is there.
      }
      res.end('done');
    });
    const slow = await Promise.all([1, 2, 3].map(() => Wire.open(port)));
    for (const each of slow) each.say('POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab');
    await until(() => shedder.inFlight === 3);
    expect(await ask(port)).toMatchObject({ status: 200, body: 'done' });
    for (const each of slow) each.say('cd');
    for (const each of slow) await each.hears('done');
    for (const each of slow) each.socket.destroy();
    await until(() => shedder.inFlight === 0);
  });

  it('tells callers how much is let in, with every answer', async () => {
    const { guard, shedder } = narrow();
    Object.defineProperty(shedder, 'admission', { value: '0.250' });
    const { port } = await start(adapter, guard, (_req, res) => res.end('done'));
    expect((await ask(port)).headers['x-fairlead-admission']).toBe('0.250');
  });

  it('does not ask for anything of what concerns a handler that has failed', async () => {
    const { guard, shedder } = narrow({}, { onError: () => {} });
    const { port } = await start(adapter, guard, () => {
      throw new Error('boom');
    });
    expect(await ask(port)).toMatchObject({ status: 500 });
    expect(shedder.inFlight).toBe(0);
  });
});

describe('refusals', () => {
  /** Refuses everything: memory is full. */
  const full = { ...eventLoop, heapRatio: () => 1 };

  it('announce the end of the connection while the server drains, and are told to whoever listens', async () => {
    const events: unknown[] = [];
    const clock = new VirtualClock();
    const drain = { draining: true, add() {}, addSession() {} } as never;
    const runtime = { clock, on: (event: unknown) => events.push(event) };
    const guard = createGuard({ shed: shed({ clock, loop: full }), drain, runtime });
    const { port } = await start('node', guard, (_req, res) => res.end());
    const { status, headers } = await ask(port);
    expect([status, headers.connection]).toEqual([503, 'close']);
    expect(events).toEqual([
      { type: 'request.refused', service: 'inbound', by: 'concurrency', status: 503, key: null },
    ]);
  });

  it('of HEAD have no body, and those of HTTP/2 the same headers', async () => {
    const { createServer, connect } = await import('node:http2');
    const guard = createGuard({ shed: shed({ loop: full }) });
    const { port } = await start('node', guard, (_req, res) => res.end());
    expect(await ask(port, { method: 'HEAD' })).toMatchObject({ status: 503, body: '' });
    const server = createServer(guard.node((_req, res) => res.end()) as never);
    const session = connect(`http://127.0.0.1:${await listen(server as never)}`);
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      session.on('error', reject);
      session.request({ ':path': '/' }).on('response', resolve).on('error', reject).resume();
    });
    expect(headers).toMatchObject({
      ':status': 503,
      'x-fairlead-nack': 'retryable',
      'retry-after': expect.any(String),
    });
    session.destroy();
  });
});
