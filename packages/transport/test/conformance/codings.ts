/** @module Subjects: `content-encoding`. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import * as zlib from 'node:zlib';
import { readAll, settled } from './streams.js';
import { answering, caught, raw, reply, type Subject } from './subject.js';

const compress = (text: string, ...how: ((data: Buffer) => Buffer)[]): Buffer =>
  how.reduce((data: Buffer, each) => each(data), Buffer.from(text));
const { gzipSync: gzip, deflateSync: deflate, deflateRawSync: deflateRaw, brotliCompressSync: br } = zlib;
const zstd = zlib.zstdCompressSync;
const long = 'häh '.repeat(50_000);

const codings: [string, string, Buffer][] = [
  ['gzip', 'gzip', compress(long, gzip)],
  ['x-gzip', 'x-gzip', compress(long, gzip)],
  ['deflate', 'deflate', compress(long, deflate)],
  ['bare deflate', 'deflate', compress(long, deflateRaw)],
  ['br', 'br', compress(long, br)],
  ['zstd', 'zstd', compress(long, (data) => zstd(data))],
  ['in capitals', 'GZip', compress(long, gzip)],
  ['identity', 'identity', Buffer.from('abc')],
  ['identity beside another', 'gzip, identity', compress('abc', gzip)],
  ['an unknown one', 'x-own', Buffer.from('abc')],
  ['an unknown one over gzip', 'gzip, x-own', compress('abc', gzip)],
  ['gzip over an unknown one', 'x-own, gzip', compress('abc', gzip)],
  ['gzip, then br', 'gzip, br', compress(long, gzip, br)],
  ['without a blank', 'gzip,br', compress(long, gzip, br)],
  ['br, then deflate, then gzip', 'br, deflate, gzip', compress(long, br, deflate, gzip)],
  ['five', 'gzip, gzip, gzip, gzip, gzip', compress('abc', gzip, gzip, gzip, gzip, gzip)],
  ['six', 'gzip, gzip, gzip, gzip, gzip, gzip', compress('abc', gzip, gzip, gzip, gzip, gzip, gzip)],
  ['an empty name', '', Buffer.from('abc')],
  ['an empty name in a list', 'gzip, , ', compress('abc', gzip)],
  ['two members', 'gzip', Buffer.concat([compress('abc', gzip), compress('def', gzip)])],
  ['garbage behind the end', 'gzip', Buffer.concat([compress('abc', gzip), Buffer.from('garbage')])],
  ['zeros behind the end', 'gzip', Buffer.concat([compress('abc', gzip), Buffer.alloc(8)])],
  ['gzip of nothing', 'gzip', compress('', gzip)],
  ['an empty body as gzip', 'gzip', Buffer.alloc(0)],
  ['an empty body as deflate', 'deflate', Buffer.alloc(0)],
  ['an empty body as br', 'br', Buffer.alloc(0)],
  ['an empty body as zstd', 'zstd', Buffer.alloc(0)],
  ['no gzip at all', 'gzip', Buffer.from('not gzip at all')],
  ['no deflate at all', 'deflate', Buffer.from('xot deflate at all')],
  ['no br at all', 'br', Buffer.from('\xff\xffnot br at all', 'latin1')],
  ['gzip cut off', 'gzip', compress(long, gzip).subarray(0, 200)],
  ['gzip cut off in its head', 'gzip', compress(long, gzip).subarray(0, 5)],
  ['gzip without its last byte', 'gzip', compress('abc', gzip).subarray(0, -1)],
  ['deflate cut off', 'deflate', compress(long, deflate).subarray(0, 50)],
  ['br cut off', 'br', compress(long, br).subarray(0, 20)],
  ['gzip with a wrong sum', 'gzip', tampered(compress('abc', gzip))],
];

function tampered(bytes: Buffer): Buffer {
  bytes[bytes.length - 6] = (bytes[bytes.length - 6] as number) ^ 1;
  return bytes;
}

/** A coded body that never ends: one member after the other, of bytes that cannot be made fewer. */
function endlessGzip(counter: { written: number }): NonNullable<Subject['answer']> {
  const member = gzip(randomBytes(200_000));
  return ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10000000000\r\n\r\n');
    const more = (): void => {
      do counter.written += member.length;
      while (counter.written < 100_000_000 && !socket.destroyed && socket.write(member));
      socket.once('drain', more);
    };
    more();
  };
}

const half = gzip(randomBytes(200_000)).subarray(0, 100_000);

/** The half of a coded body, and then `end`. */
const halfway =
  (end: (socket: Socket) => void): NonNullable<Subject['answer']> =>
  ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 200000\r\n\r\n');
    socket.write(half, () => end(socket));
  };

const lost = halfway((socket) => socket.destroy());

const counter = { written: 0 };

export const contentCodings: Subject[] = [
  answering('coding: connection lost', lost),
  answering('coding: connection lost, read as a stream', lost, (r) => caught(readAll(r.body))),
  answering(
    'coding: a short body after which the connection stays',
    reply(200, { 'content-encoding': 'gzip' }, gzip('abc')),
    async (r, door) => [await r.text(), await (await door.fetch(`${door.origin}/y`)).text()],
  ),
  {
    name: 'coding: aborted in the middle',
    brokenOff: true,
    answer: halfway(() => {}),
    run: async (door) => {
      const controller = new AbortController();
      const response = await door.fetch(`${door.origin}/x`, { signal: controller.signal });
      const reader = (response.body as ReadableStream).getReader();
      await reader.read();
      controller.abort(new RangeError('mine'));
      await door.a.exchanges[0]?.gone();
      return caught(
        (async () => {
          while (!(await reader.read()).done);
        })(),
      );
    },
  },
  {
    name: 'coding: canceled in the middle',
    brokenOff: true,
    answer: halfway(() => {}),
    run: async (door) => {
      const reader = ((await door.fetch(`${door.origin}/x`)).body as ReadableStream).getReader();
      await reader.read();
      await reader.cancel();
      await door.a.exchanges[0]?.gone();
      return reader.read();
    },
  },
  {
    name: 'coding: back-pressure',
    brokenOff: true,
    answer: endlessGzip(counter),
    run: async (door) => {
      counter.written = 0;
      const reader = ((await door.fetch(`${door.origin}/x`)).body as ReadableStream).getReader();
      await reader.read();
      const stopped = (await settled(counter)) < 20_000_000;
      await reader.cancel();
      return stopped;
    },
  },
  ...codings.map(([name, coding, body]) =>
    answering(`coding: ${name}`, reply(200, { 'content-encoding': coding }, body)),
  ),
  ...codings
    .slice(0, 6)
    .map(([name, coding, body]) =>
      answering(
        `coding as a stream: ${name}`,
        reply(200, { 'content-encoding': coding }, body),
        async (r) => (await readAll(r.body)).length,
      ),
    ),
  answering(
    'two content-encoding headers',
    reply(
      200,
      [
        ['content-encoding', 'gzip'],
        ['content-encoding', 'br'],
      ],
      compress('abc', gzip, br),
    ),
  ),
  ...[404, 500].map((status) =>
    answering(`coding with status ${status}`, reply(status, { 'content-encoding': 'gzip' }, compress('abc', gzip))),
  ),
  answering(
    'coding with a chunked body',
    raw(
      `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n17\r\n`,
      compress('abc', gzip),
      '\r\n0\r\n\r\n',
    ),
  ),
];
