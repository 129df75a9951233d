/**
 * Would catch a rolling update that loses requests: a listener closed too early, an answer that is cut, a connection that
 * is kept alive by nobody telling it to end, and a process that does not end, or not in a way its parent understands.
 */
import { Agent, createServer, type Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { ConfigError, type FairleadEvent } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { adapters, ask, gateway, listen, start, stopServers, type TestHandler, Wire } from '../../tests/harness.js';
import { createDrain, createGuard, type Drain, type DrainOptions, type SignalSource } from '../index.js';

const drains: Drain[] = [];

afterEach(async () => {
  for (const drain of drains.splice(0)) drain.abort();
  await stopServers();
});

/** Signals that a test sends. */
class TestSignals implements SignalSource {
  readonly listeners = new Map<string, (signal: NodeJS.Signals) => void>();
  readonly raised: string[] = [];
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): void {
    this.listeners.set(signal, listener);
  }
  off(signal: NodeJS.Signals): void {
    this.listeners.delete(signal);
  }
  raise(signal: NodeJS.Signals): void {
    // A signal that is still listened to would not end the process.
    this.raised.push(this.listeners.has(signal) ? `${signal}, in vain` : signal);
  }
  send(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.listeners.get(signal)?.(signal);
  }
}

function setUp(options: Partial<DrainOptions> = {}) {
  const clock = new VirtualClock();
  const signals = new TestSignals();
  const events: FairleadEvent[] = [];
  const runtime = { clock, on: (event: FairleadEvent) => events.push(event) };
  const drain = createDrain({ delayMs: 1_000, timeoutMs: 10_000, source: signals, runtime, ...options });
  drains.push(drain);
  const guard = createGuard({ drain, onError: () => {}, runtime: { clock: new VirtualClock() } });
  return { clock, signals, events, drain, guard };
}

/** Lets sockets do what they are about to do. Sockets live in real time, which only they can tell. */
async function until(condition: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(condition()).toBe(true), { interval: 2, timeout: 2_000 });
}

describe.each(adapters)('drain under %s', (adapter) => {
  it('serves on during the delay and ends each connection with its answer, then closes', async () => {
    const { clock, signals, events, drain, guard } = setUp({ service: 'shop' });
    const { port, server } = await start(adapter, guard, (_req, res) => res.end('ok'));
    const wire = await Wire.open(port);
    wire.get('/');
    expect(await wire.hears('ok')).toContain('Connection: keep-alive');
    signals.send();
    expect(drain.draining).toBe(true);
    await clock.advance(999);
    expect(server.listening).toBe(true);
    expect((await ask(port)).headers.connection).toBe('close');
    wire.get('/');
    expect(await wire.hears('ok', 2)).toContain('Connection: close');
    await wire.closed;
    expect(wire.error).toBeNull();
    await clock.advance(1);
    expect(server.listening).toBe(false);
    expect(await drain.done).toBe(0);
    expect(signals.raised).toEqual(['SIGTERM']);
    expect(events).toEqual([
      { type: 'drain.started', service: 'shop', delayMs: 1_000, timeoutMs: 10_000 },
      { type: 'drain.finished', service: 'shop', cut: 0 },
    ]);
    expect(clock.pending).toBe(0);
  });

  it('loses no request of 20 keep-alive clients that never pause', async () => {
    const { clock, signals, drain, guard } = setUp();
    const { port, server } = await start(adapter, guard, async (_req, res) => {
      await null;
      res.end('ok');
    });
    let removed = false;
    let served = 0;
    const failures: unknown[] = [];
    const clients = Array.from({ length: 20 }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (!removed) {
        try {
          const { status } = await ask(port, { agent });
          if (status !== 200) failures.push(status);
          served++;
        } catch (error) {
          failures.push(error);
        }
      }
      agent.destroy();
    });
    await until(() => served > 200);
    signals.send();
    const before = served;
    await clock.advance(500);
    await until(() => served > before + 200);
    // Now the news has arrived everywhere that this process gets no more requests.
    removed = true;
    await Promise.all(clients);
    await clock.advance(500);
    await drain.done;
    expect(failures).toEqual([]);
    expect(server.listening).toBe(false);
  });

  it('waits for a request in progress, and ends its connection although it began before', async () => {
    const { clock, signals, drain, guard } = setUp();
    const started = gateway();
    const finish = gateway();
    const { port } = await start(adapter, guard, async (_req, res) => {
      started.open();
      await finish.opened;
      res.end('finished');
    });
    const wire = await Wire.open(port);
    wire.get('/');
    await started.opened;
    signals.send();
    await clock.advance(5_000);
    let done = false;
    void drain.done.then(() => {
      done = true;
    });
    await clock.advance(0);
    expect(done).toBe(false);
    finish.open();
    expect(await wire.hears('finished')).toContain('Connection: close');
    await wire.closed;
    expect(await drain.done).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('does not end a connection while the client waits for the answer to another request on it', async () => {
    const { signals, guard } = setUp();
    const both = gateway();
    let count = 0;
    const { port } = await start(adapter, guard, async (req, res) => {
      if (++count === 2) both.open();
      await both.opened;
      res.end(`answer ${req.url}`);
    });
    signals.send();
    const wire = await Wire.open(port);
    wire.say('GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n');
    await wire.hears('answer /1');
    await wire.hears('answer /2');
    wire.socket.destroy();
  });

  it('lets a slow reader have all of its answer', async () => {
    const { clock, signals, drain, guard } = setUp({ delayMs: 0 });
    const size = 20_000_000;
    const written = gateway();
    const { port } = await start(adapter, guard, (_req, res) => {
      res.end(Buffer.alloc(size, 'x'));
      written.open();
    });
    const wire = await Wire.open(port);
    wire.socket.pause();
    wire.get('/');
    await written.opened;
    signals.send();
    await clock.advance(500);
    wire.socket.resume();
    await until(() => wire.received.length > size);
    wire.socket.destroy();
    await clock.advance(100);
    expect(await drain.done).toBe(0);
  });

  it('closes connections that are idle and such as never said anything', async () => {
    const { clock, signals, drain, guard } = setUp();
    const { port } = await start(adapter, guard, (_req, res) => res.end('ok'));
    const silent = await Wire.open(port);
    const idle = await Wire.open(port);
    idle.get('/');
    await idle.hears('ok');
    signals.send();
    await clock.advance(1_000);
    await idle.closed;
    expect(silent.socket.destroyed).toBe(false);
    await clock.advance(100);
    await silent.closed;
    expect(await drain.done).toBe(0);
  });

  it('cuts what is left at the timeout and counts it', async () => {
    const { clock, signals, events, drain, guard } = setUp();
    const started = gateway();
    const { port } = await start(adapter, guard, (_req, res) => {
      res.write('and so on');
      started.open();
    });
    const wires = [await Wire.open(port), await Wire.open(port)];
    for (const wire of wires) {
      wire.get('/');
      await wire.hears('and so on');
    }
    signals.send();
    await clock.advance(9_999);
    expect(wires.map((wire) => wire.socket.destroyed)).toEqual([false, false]);
    await clock.advance(1);
    expect(await drain.done).toBe(2);
    await Promise.all(wires.map((wire) => wire.closed));
    expect(events.at(-1)).toMatchObject({ type: 'drain.finished', cut: 2 });
    expect(signals.raised).toEqual(['SIGTERM']);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['during the delay', 0],
    ['while closing', 2_000],
  ])('a second signal %s ends it at once', async (_when, afterMs) => {
    const { clock, signals, drain, guard } = setUp();
    const started = gateway();
    const { port, server } = await start(adapter, guard, () => started.open());
    const wire = await Wire.open(port);
    wire.get('/');
    await started.opened;
    signals.send();
    await clock.advance(afterMs);
    signals.send();
    expect(signals.raised).toEqual(['SIGTERM']);
    expect(server.listening).toBe(false);
    expect(await drain.done).toBe(1);
    await wire.closed;
    expect(clock.pending).toBe(0);
  });
});

describe('drain', () => {
  const ok: TestHandler = (_req, res) => (res as import('node:http').ServerResponse).end('ok');
  const serve = async (handler: TestHandler = ok): Promise<{ server: Server; port: number }> => {
    const server = createServer(handler);
    return { server, port: await listen(server) };
  };

  it('drains several servers, and one that is added late from where the others are', async () => {
    const [one, two, late, later] = await Promise.all([serve(), serve(), serve(), serve()]);
    const { clock, signals, drain } = setUp({ servers: [one.server, two.server] });
    signals.send();
    drain.add(late.server);
    expect(late.server.listening).toBe(true);
    const wire = await Wire.open(one.port);
    wire.say('GET / HTTP/1.1\r\n');
    await until(() => one.server.listening && wire.socket.bytesWritten > 0);
    await new Promise((resolve) => one.server.getConnections(resolve));
    await clock.advance(1_000);
    expect([one, two, late].map(({ server }) => server.listening)).toEqual([false, false, false]);
    drain.add(later.server);
    expect(later.server.listening).toBe(false);
    wire.say('host: x\r\n\r\n');
    await wire.hears('ok');
    await clock.advance(100);
    await wire.closed;
    expect(await drain.done).toBe(0);
  });

  it('copes with a server that is closed already, and with one that is not of HTTP', async () => {
    const closed = createServer();
    const tcp = createTcpServer((socket) => socket.on('error', () => {}));
    const port = await listen(tcp as never as Server);
    const { clock, signals, drain } = setUp({ servers: [closed, tcp], delayMs: 0, timeoutMs: 500 });
    const wire = await Wire.open(port);
    wire.say('hello');
    await until(() => wire.socket.bytesWritten === 5);
    signals.send();
    await clock.advance(500);
    expect(await drain.done).toBe(1);
    await wire.closed;
  });

  it('is over at once where there is nothing to close', async () => {
    const { clock, signals, drain } = setUp({ delayMs: 0 });
    signals.send();
    expect(await drain.done).toBe(0);
    expect(signals.raised).toEqual(['SIGTERM']);
    expect(clock.pending).toBe(0);
  });

  it('started by hand, it leaves the process running, and able to be ended', async () => {
    const { server } = await serve();
    const { signals, drain } = setUp({ servers: server, delayMs: 0 });
    expect(await drain.start()).toBe(0);
    expect(await drain.start()).toBe(0);
    expect(server.listening).toBe(false);
    expect(signals.raised).toEqual([]);
    expect(signals.listeners.size).toBe(0);
  });

  it('started by hand, it takes a signal for the first one and raises it in the end', async () => {
    const { clock, signals, drain } = setUp();
    void drain.start();
    await clock.advance(10);
    signals.send();
    expect(signals.raised).toEqual([]);
    await clock.advance(990);
    await drain.done;
    expect(signals.raised).toEqual(['SIGTERM']);
  });

  it('waits for the cleanup before it raises the signal', async () => {
    const flushed = gateway();
    const { clock, signals, drain } = setUp({ delayMs: 0, cleanup: () => flushed.opened });
    signals.send();
    await clock.advance(2_000);
    expect(signals.raised).toEqual([]);
    flushed.open();
    await drain.done;
    expect(signals.raised).toEqual(['SIGTERM']);
    expect(clock.pending).toBe(0);
  });

  it('does not wait for a cleanup that hangs, nor fail over one that fails', async () => {
    const hanging = setUp({ delayMs: 0, cleanup: () => new Promise(() => {}), cleanupTimeoutMs: 3_000 });
    hanging.signals.send();
    await hanging.clock.advance(2_999);
    expect(hanging.signals.raised).toEqual([]);
    await hanging.clock.advance(1);
    expect(await hanging.drain.done).toBe(0);

    const again = setUp({ delayMs: 0, cleanup: () => new Promise(() => {}) });
    again.signals.send();
    again.signals.send();
    expect(again.signals.raised).toEqual(['SIGTERM']);

    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const failing = setUp({
      delayMs: 0,
      cleanup: () => {
        throw new Error('database gone');
      },
    });
    failing.signals.send();
    expect(await failing.drain.done).toBe(0);
    expect(warned).toHaveBeenCalledWith(expect.objectContaining({ message: 'database gone' }));
  });

  it('aborted before its start, it lets go of the signals', async () => {
    const { server } = await serve();
    const { signals, drain } = setUp({ servers: server });
    drain.abort();
    drain.abort();
    expect(await drain.done).toBe(0);
    expect(signals.listeners.size).toBe(0);
    expect(server.listening).toBe(true);
    expect(server.listenerCount('secureConnection')).toBe(0);
  });

  it('waits inside Kubernetes, and elsewhere does not', async () => {
    for (const [host, timeoutMs, delayMs] of [
      [undefined, 25_000, 0],
      ['10.0.0.1', 25_000, 5_000],
      ['10.0.0.1', 4_000, 2_000],
    ] as const) {
      vi.stubEnv('KUBERNETES_SERVICE_HOST', host);
      const { events, drain } = setUp({ delayMs: null, timeoutMs });
      void drain.start();
      expect(events[0]).toMatchObject({ type: 'drain.started', delayMs });
      drain.abort();
    }
    vi.unstubAllEnvs();
  });

  it('checks its options', () => {
    const wrong = { servers: {}, delayMs: -1, signals: [15], timeoutMs: Number.NaN, timeout: 1 } as never;
    expect(() => createDrain(wrong)).toThrow(
      /drain\.servers[\s\S]*drain\.delayMs[\s\S]*drain\.signals[\s\S]*drain\.timeoutMs[\s\S]*drain\.timeout/,
    );
    expect(() => createDrain({ delayMs: 2, timeoutMs: 1 })).toThrow(ConfigError);
    expect(() => createDrain(null as never)).toThrow(ConfigError);
  });

  it.each([
    ['SIGTEM', 'SIGTERM'],
    ['sigint', 'SIGINT'],
    ['SIGKILL', null],
    ['TERM', 'SIGTERM'],
    ['toString', null],
  ])('does not wait for %s, which nobody would ever hear', (name, didYouMean) => {
    const listeners = process.listenerCount('SIGTERM');
    const make = () => createDrain({ signals: ['SIGTERM', name as never], timeoutMs: -1 });
    expect(make).toThrow(ConfigError);
    let problems: unknown;
    try {
      make();
    } catch (error) {
      problems = (error as ConfigError).problems;
    }
    expect(problems).toMatchObject([{ name: 'drain.timeoutMs' }, { name: 'drain.signals', value: name, didYouMean }]);
    expect(process.listenerCount('SIGTERM')).toBe(listeners);
  });
});
