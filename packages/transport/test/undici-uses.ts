/** @module The other things that undici does with a dispatcher than to send and receive: its functions and their options. */
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { undici } from './door.js';
import { bodyOf } from './servers.js';
import { asking, raw, type Subject } from './undici-subject.js';

class Into extends Writable {
  text = '';
  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk;
    done();
  }
}

/** Each with its name. */
export const uses: [string, Subject['run'], Subject['answer']?][] = [
  [
    'raw headers',
    asking({ responseHeaders: 'raw' }),
    (_, response) => void response.writeHead(200, ['X-A', '1']).end(),
  ],
  [
    'onInfo',
    async (dispatcher, origin) => {
      const infos: unknown[] = [];
      const onInfo = (info: unknown): unknown => infos.push(info);
      return [await asking({ onInfo })(dispatcher, origin), infos];
    },
    raw('HTTP/1.1 103 Early Hints\nlink: </a>\n\nHTTP/1.1 200 OK\ncontent-length: 0\n\n', false),
  ],
  [
    'a body read as JSON, twice',
    async (dispatcher, origin) => {
      const { body } = await undici.request(origin, { dispatcher });
      const json = await body.json();
      return [json, body.bodyUsed, await body.json().catch((error: Error) => error.message)];
    },
    (_, response) => void response.end('{"a":[1]}'),
  ],
  [
    'a body with an encoding',
    async (dispatcher, origin) => {
      const { body } = await undici.request(origin, { dispatcher });
      return text(body.setEncoding('latin1'));
    },
    (_, response) => void response.end('wört'),
  ],
  [
    'a body that is dumped',
    async (dispatcher, origin) => {
      const { body } = await undici.request(origin, { dispatcher });
      return [await body.dump(), body.destroyed];
    },
  ],
  [
    'a body that is destroyed',
    async (dispatcher, origin) => {
      const { body } = await undici.request(origin, { dispatcher });
      const failed = once(body, 'error').then(([error]) => error.message);
      body.destroy(new Error('enough'));
      return failed;
    },
    (_, response) => void response.write('abc'),
  ],
  ['a signal that is none', asking({ signal: {} })],
  ['an invalid onInfo', asking({ onInfo: 1 })],
  ['throwOnError', asking({ throwOnError: true })],
  ['maxRedirections', asking({ maxRedirections: 1 })],
  ['maxRedirections of 0', asking({ maxRedirections: 0 })],
  [
    'stream',
    async (dispatcher, origin) => {
      const into = new Into();
      const { opaque, trailers } = await undici.stream(
        origin,
        { dispatcher, opaque: { mine: 1 } } as never,
        () => into,
      );
      return [opaque, trailers, into.text];
    },
  ],
  [
    'stream whose factory throws',
    (dispatcher, origin) =>
      undici.stream(origin, { dispatcher, method: 'GET' }, () => {
        throw new RangeError('no');
      }),
  ],
  [
    'stream whose factory gives nothing',
    (dispatcher, origin) => undici.stream(origin, { dispatcher, method: 'GET' }, (() => null) as never),
  ],
  [
    'stream into what fails',
    (dispatcher, origin) =>
      undici.stream(
        origin,
        { dispatcher, method: 'GET' },
        () =>
          new Writable({
            write: (_chunk, _encoding, done) => done(new RangeError('full')),
          }),
      ),
  ],
  [
    'pipeline',
    async (dispatcher, origin) => {
      const through = undici.pipeline(origin, { dispatcher, method: 'PUT' } as never, ({ body }) => body);
      through.end('abc');
      return text(through);
    },
    async (request, response) => void response.end(`got ${await bodyOf(request)}`),
  ],
  [
    'pipeline whose handler throws',
    async (dispatcher, origin) => {
      const through = undici.pipeline(origin, { dispatcher, method: 'PUT' } as never, () => {
        throw new RangeError('no');
      });
      through.end('abc');
      return text(through);
    },
  ],
  [
    'an upgrade whose name has a line feed',
    (dispatcher, origin) => undici.upgrade(origin, { dispatcher, protocol: 'a\r\nx: y' }),
  ],
  ['an upgrade that is refused', (dispatcher, origin) => undici.upgrade(origin, { dispatcher })],
  ['an upgrade in a request', asking({ upgrade: 'chat' })],
  ['an expectation among the headers', asking({ headers: { expect: '100-continue' } })],
  ['a connection that is closed by a header', asking({ headers: { connection: 'close' } })],
  ['a connection that is closed by an option', asking({ reset: true })],
  ['a reset that is none', asking({ reset: 'yes' })],
  ['an expectContinue that is none', asking({ expectContinue: 'yes' })],
  ['timeouts that are none', asking({ headersTimeout: 'x' })],
  [
    'twenty at once',
    async (dispatcher, origin) =>
      (await Promise.all(Array.from({ length: 20 }, () => asking({})(dispatcher, origin)))).length,
  ],
];
