/** @module Subjects: everything that fetch takes as the body of a request. */
import { Readable } from 'node:stream';
import { nextTurn } from '../servers.js';
import { caught, type Subject, seen, sending } from './subject.js';

const text = 'häh €';
const bytes = new TextEncoder().encode('0123456789abcdef');

/** A body of which every use is a new one, since most can be used once. */
type Make = () => unknown;

async function* pieces(...all: unknown[]): AsyncGenerator {
  yield* all;
}

function form(...entries: [string, string | Blob, string?][]): FormData {
  const data = new FormData();
  for (const [name, value, file] of entries) {
    if (file === undefined) data.append(name, value as string);
    else data.append(name, value as Blob, file);
  }
  return data;
}

function streamOf(...chunks: unknown[]): ReadableStream {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

function disturbed(): ReadableStream {
  const stream = streamOf(bytes, bytes);
  const reader = stream.getReader();
  void reader.read();
  reader.releaseLock();
  return stream;
}

function locked(): ReadableStream {
  const stream = streamOf(bytes);
  stream.getReader();
  return stream;
}

function detached(): ArrayBuffer {
  const buffer = bytes.slice().buffer;
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

const views = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
  Float32Array,
  Float64Array,
];

const values: [string, Make][] = [
  ['undefined', () => undefined],
  ['null', () => null],
  ['text', () => text],
  ['empty text', () => ''],
  ['text with a lone surrogate', () => 'a\ud800b'],
  ['long text', () => text.repeat(20_000)],
  ['a String object', () => new String('abc')],
  ['a number', () => 42],
  ['a boolean', () => false],
  ['a bigint', () => 42n],
  ['a symbol', () => Symbol('s')],
  ['a plain object', () => ({ a: 1 })],
  ['an object without prototype', () => Object.create(null)],
  ['an array', () => [1, 2]],
  ['a date', () => new Date(0).toISOString()],
  ['a Map', () => new Map()],
  ...views.map((View): [string, Make] => [`a ${View.name}`, () => new View(bytes.slice().buffer, 8)]),
  ['a Buffer', () => Buffer.from(bytes)],
  ['a view of a part', () => bytes.subarray(3, 7)],
  ['a DataView', () => new DataView(bytes.slice().buffer, 1, 5)],
  ['an empty view', () => new Uint8Array(0)],
  ['an ArrayBuffer', () => bytes.slice().buffer],
  ['an empty ArrayBuffer', () => new ArrayBuffer(0)],
  ['a resizable ArrayBuffer', () => new ArrayBuffer(4, { maxByteLength: 8 } as never)],
  ['many bytes', () => new Uint8Array(3_000_000).fill(97)],
  ['a large Blob', () => new Blob(Array.from({ length: 50 }, () => new Uint8Array(60_000).fill(97)))],
  ['a detached ArrayBuffer', detached],
  ['a SharedArrayBuffer', () => new SharedArrayBuffer(4)],
  ['a view of a SharedArrayBuffer', () => new Uint8Array(new SharedArrayBuffer(4))],
  ['a Blob', () => new Blob([text], { type: 'text/x' })],
  ['a Blob without type', () => new Blob([text])],
  ['an empty Blob', () => new Blob([])],
  ['a part of a Blob', () => new Blob(['0123456789'], { type: 'text/x' }).slice(2, 5, 'text/y')],
  ['a Blob with blanks for a type', () => new Blob(['x'], { type: ' ' })],
  ['a Blob with blanks around its type', () => new Blob(['x'], { type: ' a/b ' })],
  ['a Blob with an odd type', () => new Blob(['x'], { type: 'Text/X; Charset=UTF-8' })],
  ['a File', () => new File([text], 'name.txt', { type: 'text/plain' })],
  ['parameters', () => new URLSearchParams([...Object.entries({ a: 'b c', 'd&': 'ü+~*', e: '' }), ['a', '2']])],
  ['empty parameters', () => new URLSearchParams()],
];

const forms: [string, () => FormData][] = [
  ['empty', () => form()],
  ['one field', () => form(['name', 'value'])],
  ['fields with the same name', () => form(['n', '1'], ['n', '2'])],
  ['line breaks in values', () => form(['n', 'a\nb\rc\r\nd\n\re'])],
  ['line breaks and quotes in names', () => form(['a\nb\rc\r\nd"e', 'v'])],
  ['backslashes, percents and semicolons', () => form(['a\\b%22;c', 'v\\%'])],
  ['names beyond ASCII', () => form(['naïve-€-😀', 'ü'], ['\ud800', '\ud800'])],
  ['an empty name', () => form(['', ''])],
  ['a file', () => form(['f', new Blob([text], { type: 'text/x' }), 'name.txt'])],
  ['a file without a type', () => form(['f', new Blob([bytes]), 'name.bin'])],
  ['a Blob without a name', () => form(['f', new Blob([bytes], { type: 'a/b' })])],
  ['an empty file', () => form(['f', new File([], '')])],
  ['a file with an odd name', () => form(['f', new File(['x'], 'a"b\nc\r\\ü€.txt', { type: 'a/b' }), 'ü"\n.t'])],
  ['a File with its own name', () => form(['f', new File(['x'], 'own"\n.txt', { type: 'a/b' })])],
  ['many files', () => form(...Array.from({ length: 50 }, (_, i): [string, Blob] => [`f${i}`, new Blob([`${i}`])]))],
];

const streams: [string, Make][] = [
  ['a stream', () => streamOf(bytes, bytes)],
  ['an empty stream', () => streamOf()],
  ['a byte stream', () => new Blob([bytes]).stream()],
  ['a stream of Buffers', () => streamOf(Buffer.from('ab'), Buffer.from('c'))],
  ['a stream with an empty chunk', () => streamOf(bytes, new Uint8Array(0), bytes)],
  ['a stream with a large chunk', () => streamOf(new Uint8Array(200_000))],
  ['a piped stream', () => streamOf('a', 'b').pipeThrough(new TextEncoderStream())],
  ['Readable.toWeb', () => Readable.toWeb(Readable.from([Buffer.from('ab'), Buffer.from('c')]))],
  ['a Readable', () => Readable.from([Buffer.from('ab'), Buffer.from('c')])],
  ['a Readable of text', () => Readable.from(['häh', '€'])],
  ['an async generator', () => pieces(bytes, bytes)],
  ['an async generator of nothing', () => pieces()],
  ['an async iterable', () => ({ [Symbol.asyncIterator]: () => pieces(bytes) })],
  ['a sync iterable', () => new Set([bytes])],
  ['the body of a Response', () => new Response('abc').body],
];

const broken: [string, Make][] = [
  ['a stream of text', () => streamOf('text')],
  ['a stream of numbers', () => streamOf(1)],
  ['a stream of ArrayBuffers', () => streamOf(bytes.slice().buffer)],
  ['a stream of other views', () => streamOf(new Uint16Array(2))],
  ['an async generator of text', () => pieces('text')],
  ['an async generator of numbers', () => pieces(1)],
  ['a locked stream', locked],
  ['a disturbed stream', disturbed],
  ['a stream that fails at once', () => new ReadableStream({ start: (it) => it.error(new RangeError('mine')) })],
  ['a stream that fails with no Error', () => new ReadableStream({ start: (it) => it.error('text') })],
  [
    'a stream that fails later',
    () => {
      let n = 0;
      return new ReadableStream({ pull: (it) => (n++ === 0 ? it.enqueue(bytes) : it.error(new RangeError('mine'))) });
    },
  ],
  [
    'a generator that throws',
    async function* () {
      yield bytes;
      throw new RangeError('mine');
    },
  ],
];

const post = (body: unknown): object => ({ method: 'POST', body });
const streaming = (body: unknown): object => ({ method: 'POST', body, duplex: 'half' });

export const bodies: Subject[] = [
  ...values.map(([name, make]) => sending(`body: ${name}`, () => post(make()))),
  ...forms.map(([name, make]) => sending(`form: ${name}`, () => post(make()))),
  ...streams.map(([name, make]) => sending(`body: ${name}`, () => streaming(make()))),
  ...broken.map(([name, make]) => sending(`broken body: ${name}`, () => streaming(make()), { brokenOff: true })),
  sending('a stream with keepalive', () => ({ ...post(streamOf(bytes)), duplex: 'half', keepalive: true })),
  sending('a stream without duplex', () => post(streamOf(bytes))),
  sending('an async iterable without duplex', () => post(pieces(bytes))),
  sending('a stream with duplex: full', () => ({ ...post(streamOf(bytes)), duplex: 'full' })),
  sending('text with duplex: half', () => streaming('abc')),
  sending('text with duplex: full', () => ({ ...post('abc'), duplex: 'full' })),
  sending('GET with a body', () => ({ body: 'abc' })),
  sending('HEAD with a body', () => ({ method: 'HEAD', body: 'abc' })),
  sending('GET with an empty body', () => ({ body: '' })),
  sending('GET with a null body', () => ({ body: null })),
  sending('DELETE with a body', () => ({ method: 'DELETE', body: 'abc' })),
  sending('PUT without a body', () => ({ method: 'PUT' })),
  sending('PATCH without a body', () => ({ method: 'PATCH' })),
  sending('DELETE without a body', () => ({ method: 'DELETE' })),
  sending('OPTIONS without a body', () => ({ method: 'OPTIONS' })),
  sending('a stream with a content-length that is right', () => ({
    ...streaming(streamOf(bytes)),
    headers: { 'content-length': '16' },
  })),
  sending(
    'a stream with a content-length that is too long',
    () => ({
      ...streaming(streamOf(bytes)),
      headers: { 'content-length': '17' },
    }),
    { brokenOff: true },
  ),
  sending('text with a content-length that is right', () => ({ ...post('abc'), headers: { 'content-length': '3' } })),
  sending(
    'text with a content-length that is too long',
    () => ({ ...post('abc'), headers: { 'content-length': '4' } }),
    { brokenOff: true },
  ),
  sending(
    'text with a content-length that is too short',
    () => ({
      ...post('abc'),
      headers: { 'content-length': '2' },
    }),
    { brokenOff: true, patienceMs: 1_000 },
  ),
  sending('text with a content-length that is none', () => ({ ...post('abc'), headers: { 'content-length': 'x' } }), {
    brokenOff: true,
  }),
  sending('a content type of the caller', () => ({ ...post('{}'), headers: { 'Content-Type': 'application/json' } })),
  sending('a content type for a form', () => ({ ...post(form(['a', 'b'])), headers: { 'content-type': 'a/b' } })),
  sending('an empty content type', () => ({ ...post('abc'), headers: { 'content-type': '' } })),
  {
    name: 'a stream is read no faster than the server reads',
    brokenOff: true,
    atHead: true,
    answer: ({ socket }) => void socket.pause(),
    run: async (door) => {
      let pulled = 0;
      const body = new ReadableStream({
        pull: async (it) => {
          pulled++;
          await nextTurn();
          it.enqueue(new Uint8Array(100_000));
        },
      });
      const controller = new AbortController();
      const { signal } = controller;
      const pending = caught(door.fetch(`${door.origin}/x`, { method: 'POST', body, duplex: 'half', signal }));
      await door.a.arrived(1);
      let before = -1;
      for (let quiet = 0; quiet < 100; quiet = pulled === before ? quiet + 1 : 0) {
        before = pulled;
        await nextTurn();
      }
      controller.abort();
      return [pulled < 1_000, await pending];
    },
  },
  {
    name: 'many bytes, written to after the call',
    run: async (door) => {
      const body = new Uint8Array(1_000_000).fill(97);
      const pending = door.fetch(`${door.origin}/x`, post(body));
      body.fill(98);
      await seen(await pending);
      return String.fromCharCode(door.a.exchanges[0]?.body[0] as number);
    },
  },
  {
    name: 'the bytes at the time of the call',
    run: async (door) => {
      const body = Buffer.from('abc');
      const pending = door.fetch(`${door.origin}/x`, post(body));
      body.fill(0);
      return seen(await pending);
    },
  },
  {
    name: 'the parameters and form at the time of the call',
    run: async (door) => {
      const parameters = new URLSearchParams({ a: '1' });
      const data = form(['a', '1']);
      const pending = [door.fetch(`${door.origin}/p`, post(parameters)), door.fetch(`${door.origin}/f`, post(data))];
      parameters.set('a', '2');
      data.set('a', '2');
      for (const each of pending) await seen(await each);
      return parameters.toString();
    },
  },
];
