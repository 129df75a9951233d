/** @module Subjects: the body of a response as a stream that is handed on. */
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bodyOf, endless, large, readAll, stream, text } from './streams.js';
import { caught, type Subject } from './subject.js';

export const pipes: Subject[] = [
  stream('pipeTo', async (r) => {
    let all = '';
    await bodyOf(r).pipeTo(new WritableStream({ write: (chunk) => void (all += text(chunk)) }));
    return [all, r.bodyUsed, bodyOf(r).locked];
  }),
  stream(
    'pipeTo something that fails',
    async (r, door) => {
      const reason = new RangeError('mine');
      const error = await caught(bodyOf(r).pipeTo(new WritableStream({ write: () => Promise.reject(reason) })));
      await door.a.exchanges[0]?.gone();
      return error === reason;
    },
    endless,
  ),
  stream(
    'pipeTo that is aborted',
    async (r, door) => {
      const controller = new AbortController();
      const written = Promise.withResolvers<void>();
      const to = new WritableStream({ write: () => written.resolve() });
      const piping = caught(bodyOf(r).pipeTo(to, { signal: controller.signal }));
      await written.promise;
      controller.abort();
      await door.a.exchanges[0]?.gone();
      return (await piping) === controller.signal.reason;
    },
    endless,
  ),
  stream('pipeThrough', async (r) => {
    let all = '';
    for await (const each of bodyOf(r).pipeThrough(new TextDecoderStream() as never)) all += each;
    return all;
  }),
  stream('DecompressionStream', async (r) => {
    const unzipped = bodyOf(r).pipeThrough(new CompressionStream('gzip') as never);
    return readAll((unzipped as ReadableStream).pipeThrough(new DecompressionStream('gzip') as never));
  }),
  stream(
    'Readable.fromWeb',
    async (r) => Buffer.concat(await Readable.fromWeb(bodyOf(r) as never).toArray()).length,
    large,
  ),
  stream(
    'Readable.fromWeb, destroyed',
    async (r, door) => {
      const readable = Readable.fromWeb(bodyOf(r) as never);
      await new Promise((resolve) => readable.once('data', resolve));
      readable.destroy();
      await door.a.exchanges[0]?.gone();
      return 'closed';
    },
    endless,
  ),
  stream(
    'pipeline',
    async (r) => {
      let size = 0;
      await pipeline(
        bodyOf(r) as never,
        new Writable({
          write: (chunk, _, done) => {
            size += chunk.length;
            done();
          },
        }),
      );
      return size;
    },
    large,
  ),
  stream('structuredClone of the stream', async (r) => {
    const moved = structuredClone(bodyOf(r), { transfer: [bodyOf(r)] } as never) as ReadableStream<Uint8Array>;
    return [await readAll(moved), r.bodyUsed];
  }),
  stream('as the body of another request', async (r, door) => {
    await door.fetch(`${door.other}/y`, { method: 'POST', body: r.body, duplex: 'half' });
    return r.bodyUsed;
  }),
  stream('as the body of a Request', async (r, door) => {
    const request = new Request(`${door.other}/y`, { method: 'POST', body: r.body, duplex: 'half' } as RequestInit);
    return [r.bodyUsed, (await door.fetch(request)).status, r.bodyUsed];
  }),
];
