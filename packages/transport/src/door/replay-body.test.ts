/**
 * Catches a body that is sent again with a piece missing, twice or from another attempt, that keeps more than it should,
 * that is thought to be whole when it is not, or whose source is never let go of.
 */
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rejection } from '../../test/servers.js';
import { ReplayBody, replayBytes } from './replay-body.js';

async function* from(chunks: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array | string> {
  yield* chunks;
}

async function all(reading: AsyncIterator<Uint8Array>): Promise<string> {
  let text = '';
  for (let step = await reading.next(); !step.done; step = await reading.next()) text += Buffer.from(step.value);
  return text;
}

const begin = (body: ReplayBody): AsyncIterator<Uint8Array> => body[Symbol.asyncIterator]();

describe('a body that can be read once', () => {
  it('is read again, whole, however far it was read before', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ maxLength: 20 }), { maxLength: 10 }),
        fc.array(fc.nat(12), { maxLength: 4 }),
        async (chunks, readings) => {
          const body = new ReplayBody(from(chunks));
          for (const steps of readings) {
            const reading = begin(body);
            for (let n = 0; n < steps; n++) await reading.next();
            await reading.return?.();
          }
          expect(body.started).toBe(false);
          expect(await all(begin(body))).toBe(chunks.join(''));
        },
      ),
    );
  });

  it('is copied, since its owner may use the memory again', async () => {
    const chunk = Buffer.from('one');
    async function* reused(): AsyncGenerator<Uint8Array> {
      yield chunk;
      chunk.write('two');
      yield chunk;
    }
    const body = new ReplayBody(reused());
    await all(begin(body));
    expect(await all(begin(body))).toBe('onetwo');
  });

  it('gives a piece that was on its way to a dead reading to the next one, and that one no end', async () => {
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield await promise;
    }
    const body = new ReplayBody(slow());
    const dead = begin(body).next();
    const alive = all(begin(body));
    resolve(Buffer.from('piece'));
    expect((await rejection(dead)).code).toBe('ERR_CANCELED');
    expect(await alive).toBe('piece');
  });

  it('cannot be sent again once it has become too long, and lets go of what it kept', async () => {
    const half = new Uint8Array(replayBytes / 2).fill(97);
    const body = new ReplayBody(from([half, half, 'b', 'c']));
    const reading = begin(body);
    await reading.next();
    await reading.next();
    expect(body.started).toBe(false);
    expect(Buffer.from((await reading.next()).value).toString()).toBe('b');
    expect(body.started).toBe(true);
    expect(await all(reading)).toBe('c');
  });

  it('that becomes too long while it is read for the second time is still read to its end', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    async function* slow(): AsyncGenerator<string> {
      yield 'begin ';
      yield await promise;
      yield ' end '.repeat(replayBytes);
    }
    const body = new ReplayBody(slow());
    const first = begin(body);
    await first.next();
    const dead = first.next().catch(() => {});
    const second = all(begin(body));
    await Promise.resolve();
    resolve('x'.repeat(replayBytes));
    await dead;
    expect(await second).toBe(`begin ${'x'.repeat(replayBytes)}${' end '.repeat(replayBytes)}`);
  });

  it('of any size can be sent again as long as nobody has touched it', () => {
    expect(new ReplayBody(from(['x'.repeat(10 * replayBytes)])).started).toBe(false);
  });

  it('without an end costs no more than its beginning', async () => {
    // A shift for every piece made the first version quadratic, and one object for each kept far more than its bytes.
    async function* endless(): AsyncGenerator<string> {
      for (;;) yield 'zzz';
    }
    const body = new ReplayBody(endless());
    const reading = begin(body);
    for (let n = 0; n < 100_000; n++) await reading.next();
    expect(body.started).toBe(true);
    body.dispose(null);
  });

  it('says what is wrong with it, to every reading', async () => {
    const broken = new RangeError('broken');
    async function* failing(): AsyncGenerator<string> {
      yield 'a';
      throw broken;
    }
    const body = new ReplayBody(failing());
    expect(await rejection(all(begin(body)))).toBe(broken);
    expect(await rejection(all(begin(body)))).toBe(broken);
    const wrong = new ReplayBody(from([7 as never]));
    expect(await rejection(all(begin(wrong)))).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('closes its source once, when it is disposed of and not before', async () => {
    let closed = 0;
    async function* source(): AsyncGenerator<string> {
      try {
        yield 'a';
        yield 'b';
      } finally {
        closed++;
        // biome-ignore lint/correctness/noUnsafeFinally: a source that is being stopped may say what it likes
        throw new Error('nobody hears this');
      }
    }
    const body = new ReplayBody(source());
    const reading = begin(body);
    await reading.next();
    await reading.return?.();
    expect(closed).toBe(0);
    body.dispose(null);
    body.dispose(null);
    await Promise.resolve();
    expect([closed, body.started]).toEqual([1, true]);
    expect((await rejection(reading.next())).code).toBe('ERR_CANCELED');
  });

  it.each([null, new Error('why')])('destroys a stream, and tells it %s', async (reason) => {
    const stream = new Readable({ read() {} });
    const body = new ReplayBody(stream);
    body.dispose(reason);
    expect([stream.destroyed, stream.errored]).toEqual([true, reason]);
  });

  it('tells that its stream failed, also while nobody reads it', async () => {
    const stream = new Readable({ read() {} });
    const body = new ReplayBody(stream);
    const told = new Promise((resolve) => {
      body.onFailed = resolve;
    });
    const broken = new Error('broken');
    stream.destroy(broken);
    expect(await told).toBe(broken);
  });
});
