// Catches: an upload that goes on for a caller who has given up or whose time is up, an answer that is lost because it came
// before the request was through, a server that takes nothing in (as a half-open connection does) and holds a call beyond its
// time; a source of a body that is read on, a connection or a listener that is left behind. The whole stack with its defaults.
import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import { sleep, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { attempts, get, loads, until, worlds } from '../../test/world.js';

const world = worlds();
const PIECE = new Uint8Array(64 * 1_024);

interface Source {
  body: AsyncIterable<Uint8Array>;
  given: number;
  closed: boolean;
}

/** A body that never ends, and knows whether it was let go. */
function endless(): Source {
  const source: Source = { body: pieces(), given: 0, closed: false };
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        source.given++;
        yield PIECE;
        await sleep(systemClock, 1);
      }
    } finally {
      source.closed = true;
    }
  }
  return source;
}

const upload = ({ body }: Source, more: object = {}): RequestInit => {
  return { method: 'PUT', body, duplex: 'half', ...more } as unknown as RequestInit;
};

/** Takes in the head and nothing more, so that the sender has to stop: what a connection does whose other end has gone. */
const deaf = (socket: Socket): void => void socket.pause();

describe('an upload', () => {
  it('to somebody who takes nothing in ends with the time of the call, and its source is let go', async () => {
    const site = await world.raw(deaf);
    const client = world.service([site.origin], { timeoutMs: 400 });
    const source = endless();
    const got = await get(client.fetch, upload(source));
    expect(got).toMatchObject({ error: { cause: { code: 'ERR_TIMEOUT' } } });
    expect(got.ms).toBeLessThan(1_500);
    await until(() => source.closed, 'the source let go');
    const { given } = source;
    await until(() => site.sockets.size === 0 || [...site.sockets].every((socket) => socket.resume().destroyed), 'cut');
    expect(source.given).toBe(given);
    expect([attempts(client), ...loads(client)]).toEqual([1, 0]);
  });

  it('that ten thousand bytes a time are taken of ends with the time of the call all the same', async () => {
    const site = await world.http((request) => void request.on('data', () => {}));
    const client = world.service([site.origin], { timeoutMs: 300 });
    const source = endless();
    const at = systemClock.now();
    expect(await get(client.fetch, upload(source))).toMatchObject({ error: { cause: { code: 'ERR_TIMEOUT' } } });
    expect(systemClock.now() - at).toBeLessThan(1_300);
    await until(() => source.closed, 'the source let go');
  });

  it('of a caller who gives up stops at once, with the reason', async () => {
    const site = await world.http((request) => void request.on('data', () => {}));
    const client = world.service([site.origin]);
    const controllers = Array.from({ length: 50 }, () => new AbortController());
    const sources = controllers.map(() => endless());
    const calls = controllers.map(({ signal }, i) => get(client.fetch, upload(sources[i] as Source, { signal })));
    await until(() => sources.every(({ given }) => given > 3), 'every body on its way');
    for (const controller of controllers) controller.abort('enough');
    for (const got of await Promise.all(calls)) expect(got).toMatchObject({ error: 'enough' });
    await until(() => sources.every(({ closed }) => closed), 'the sources let go');
    for (const { signal } of controllers) expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect([attempts(client), ...loads(client)]).toEqual([50, 0]);
  });

  it('that is refused early, by a server that reads on for a while, gets the answer, and the source is let go', async () => {
    const site = await world.http((request, response) => {
      request.on('data', () => {});
      response.writeHead(413, { connection: 'close' }).end('too large');
    });
    const client = world.service([site.origin]);
    for (let i = 0; i < 5; i++) {
      const source = endless();
      expect(await get(client.fetch, upload(source))).toMatchObject({ status: 413, text: 'too large' });
      await until(() => source.closed, 'the source let go');
    }
    expect(attempts(client)).toBe(5);
    expect(client.describe().svc?.endpoints[0]?.health).toBe('healthy');
  });

  it('in the middle of which the connection is reset is the documented error, and the source is let go', async () => {
    let n = 0;
    const site = await world.raw((socket) => void socket.on('data', () => ++n % 5 === 0 && socket.resetAndDestroy()));
    const client = world.service([site.origin], { health: false, breaker: false });
    for (let i = 0; i < 5; i++) {
      const source = endless();
      expect(await get(client.fetch, upload(source))).toMatchObject({
        error: { cause: { code: 'ERR_TRANSPORT', sent: 'maybe' } },
      });
      await until(() => source.closed, 'the source let go');
    }
    // A body that can be read once cannot be sent again.
    expect(attempts(client)).toBe(5);
  });
});
