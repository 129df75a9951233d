/**
 * @module What callers of undici do with a dispatcher, one thing each: what undici's own tests are about, as far as it is
 * about what a caller and a server see. Each says what it saw, as plain data.
 */
import { PassThrough, Readable } from 'node:stream';
import { asking, dispatchOf, put, raw, type Subject } from './undici-subject.js';
import { uses } from './undici-uses.js';

async function* yields(...pieces: unknown[]): AsyncGenerator<unknown> {
  yield* pieces;
}
async function* fails(): AsyncGenerator<string> {
  yield 'a';
  throw new RangeError('no more');
}

const targets: [string, Subject['run']][] = [
  ['a path without a slash', (dispatcher, origin) => dispatchOf(dispatcher, { origin, path: 'a', method: 'GET' })],
  ['a query', asking({ query: { a: 1, b: ['x', 'y'], c: 'ü &' } })],
  ['an empty query', asking({ query: {} })],
  ['a query beside one in the path', asking({ query: { a: 1 } }, '/?b=2')],
  ['a query that is no object', asking({ query: 'a' })],
  ['a line feed in the path', (dispatcher, origin) => dispatchOf(dispatcher, { origin, path: '/a\nb', method: 'GET' })],
  ['a line feed in the method', asking({ method: 'GE\nT' })],
  ['a method of its own', asking({ method: 'PROPFIND' })],
  ['QUERY with a body', asking({ method: 'QUERY', body: 'select' })],
  [
    'a URL object with credentials',
    (dispatcher, origin) => {
      const url = new URL(origin);
      url.username = 'a';
      return asking({})(dispatcher, url.origin);
    },
  ],
];

const headers: [string, Subject['run']][] = [
  ['as an object', asking({ headers: { 'X-A': '1', 'x-b': ['2', '3'] } })],
  ['as a flat list', asking({ headers: ['X-A', '1', 'x-b', '2', 'x-b', '3'] })],
  ['as a Map', asking({ headers: new Map([['x-a', '1']]) })],
  ['as Headers', asking({ headers: new Headers({ 'x-a': '1' }) })],
  [
    'as an iterable of its own',
    asking({
      headers: {
        *[Symbol.iterator]() {
          yield ['x-a', '1'];
        },
      },
    }),
  ],
  ['as an odd list', asking({ headers: ['x-a'] })],
  ['as text', asking({ headers: 'x-a: 1' })],
  ['with a number and a boolean', asking({ headers: { 'x-a': 1, 'x-b': true } })],
  ['with nothing', asking({ headers: { 'x-a': undefined } })],
  ['with null', asking({ headers: { 'x-a': null } })],
  ['with an object', asking({ headers: { 'x-a': {} } })],
  ['with a function', asking({ headers: { 'x-a': () => {} } })],
  ['with a carriage return', asking({ headers: { 'x-a': 'a\rb' } })],
  ['with a line feed', asking({ headers: { 'x-a': 'a\nb' } })],
  ['with a NUL', asking({ headers: { 'x-a': 'a\0b' } })],
  ['with a name that is none', asking({ headers: { 'x a': 'a' } })],
  ['with an empty name', asking({ headers: { '': 'a' } })],
  ['in Latin-1', asking({ headers: { 'x-a': 'ü' } })],
  ['beyond Latin-1', asking({ headers: { 'x-a': '€' } })],
  ['with two hosts', asking({ headers: ['host', 'a', 'Host', 'b'] })],
  ['with a host', asking({ headers: { host: 'example.com' } })],
  ['with an empty host', asking({ headers: { host: '' } })],
  ['with two lengths', asking({ method: 'PUT', body: 'abc', headers: ['content-length', '3', 'Content-Length', '3'] })],
  ['with a length that is none', asking({ method: 'PUT', body: 'abc', headers: { 'content-length': 'x' } })],
];

const bodies: [string, Subject['run']][] = [
  ['text', put(() => 'wört')],
  ['empty text', put(() => '')],
  ['a Buffer', put(() => Buffer.from('abc'))],
  ['a Float64Array', put(() => new Float64Array([1]))],
  ['a DataView', put(() => new DataView(new ArrayBuffer(3)))],
  ['an ArrayBuffer', put(() => new ArrayBuffer(3))],
  ['a blob with a type', put(() => new Blob(['abc'], { type: 'text/plain' }))],
  ['a blob, and a type beside it', put(() => new Blob(['abc'], { type: 'text/plain' }), { 'content-type': 'a/b' })],
  ['a stream', put(() => Readable.from(['ab', 'c'], { objectMode: false }))],
  ['a stream that is paused', put(() => new PassThrough().end('abc').pause())],
  ['an empty stream', put(() => Readable.from([]))],
  ['a stream with its length', put(() => Readable.from(['abc']), { 'content-length': '3' })],
  ['a stream that is shorter than its length', put(() => Readable.from(['abc']), { 'content-length': '4' })],
  ['a stream that is longer than its length', put(() => Readable.from(['abc']), { 'content-length': '2' })],
  ['a stream of a length of 0', put(() => Readable.from(['abc']), { 'content-length': '0' })],
  ['text that is longer than its length', put(() => 'abc', { 'content-length': '2' })],
  ['an array', put(() => ['ab', 'c'])],
  ['an empty array', put(() => [])],
  ['a generator', put(() => yields('ab', 'c'))],
  ['a generator of an empty piece', put(() => yields('ab', '', 'c'))],
  ['a generator of bytes', put(() => yields(Buffer.from('ab'), new Uint8Array([99])))],
  ['a generator of what cannot be sent', put(() => yields({}))],
  ['a generator that fails', put(() => fails())],
  ['a stream that fails', put(() => Readable.from(fails()))],
  ['a number', put(() => 1)],
  ['DELETE with a body', asking({ method: 'DELETE', body: 'abc' })],
  ['GET with a body', asking({ method: 'GET', body: 'abc' })],
  ['HEAD with a body', asking({ method: 'HEAD', body: 'abc' })],
  ['POST without one', asking({ method: 'POST' })],
];

const answers: [string, Subject['answer'], Subject['run']?][] = [
  ['without a length, to its end', raw('HTTP/1.1 200 OK\n\nabc')],
  ['of HTTP/1.0', raw('HTTP/1.0 200 OK\n\nabc')],
  ['that is cut', raw('HTTP/1.1 200 OK\ncontent-length: 9\n\nabc')],
  ['whose chunks are cut', raw('HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\nabc\n')],
  ['whose length is none', raw('HTTP/1.1 200 OK\ncontent-length: x\n\nabc')],
  ['with two lengths', raw('HTTP/1.1 200 OK\ncontent-length: 3\ncontent-length: 4\n\nabc')],
  ['that is no HTTP', raw('SSH-2.0-OpenSSH_9.6\n')],
  ['that never begins', raw('')],
  ['without a reason', raw('HTTP/1.1 200\ncontent-length: 0\n\n', false)],
  ['with a reason in Latin-1', raw('HTTP/1.1 299 Quite Good\ncontent-length: 0\n\n', false)],
  ['with trailers', raw('HTTP/1.1 200 OK\ntransfer-encoding: chunked\ntrailer: x-a\n\n1\na\n0\nx-a: 1\n\n', false)],
  [
    'with names of Object.prototype',
    raw('HTTP/1.1 200 OK\n__proto__: a\nconstructor: b\ncontent-length: 0\n\n', false),
  ],
  [
    'with cookies and repetitions',
    raw('HTTP/1.1 200 OK\nset-cookie: a\nset-cookie: b\nx: 1\nX: 2\ncontent-length: 0\n\n', false),
  ],
  ['with a head that is too long', raw(`HTTP/1.1 200 OK\nx-a: ${'a'.repeat(20_000)}\ncontent-length: 0\n\n`, false)],
  ['behind interim ones', raw('HTTP/1.1 103 Early Hints\nlink: </a>\n\nHTTP/1.1 200 OK\ncontent-length: 0\n\n', false)],
  ['100 alone', raw('HTTP/1.1 100 Continue\n\n')],
  ['101 to nobody who asked', raw('HTTP/1.1 101 Switching\nupgrade: a\nconnection: upgrade\n\n')],
  ['204 with a length', raw('HTTP/1.1 204 No Content\ncontent-length: 3\n\n', false)],
  ['to HEAD, with a length', raw('HTTP/1.1 200 OK\ncontent-length: 3\n\n', false), asking({ method: 'HEAD' })],
  ['that says close', raw('HTTP/1.1 200 OK\nconnection: close\n\nabc')],
  [
    'before the request has ended',
    raw('HTTP/1.1 200 OK\nconnection: close\ncontent-length: 3\n\nabc'),
    put(() => 'a'.repeat(100)),
  ],
];

const ours = 'the connection is that of the service: wishes about it are dropped';
const early = 'undici measures a stream when it has a connection, the door before there is one';

/** Why some of them are another thing through the door. */
const differs: Readonly<Record<string, string>> = {
  'to a path without a slash': 'a whole URL is no path either, and the message says so',
  'to a query beside one in the path': 'the error has the code of an invalid argument',
  'a body: a generator of what cannot be sent': 'the message says what can be',
  'using pipeline': early,
  'using pipeline whose handler throws': early,
  'using an expectation among the headers': ours,
  'using a connection that is closed by a header': ours,
  'using a connection that is closed by an option': ours,
  'using a reset that is none': ours,
  'using an expectContinue that is none': ours,
};

const group = (what: string, list: readonly [string, Subject['run'], Subject['answer']?][]): Subject[] =>
  list.map(([name, run, answer]) => {
    const full = `${what} ${name}`;
    return { name: full, run, ...(answer && { answer }), ...(differs[full] && { differs: differs[full] }) };
  });

/** All of them. */
export const subjects: readonly Subject[] = [
  ...group('to', targets),
  ...group('headers', headers),
  ...group('a body:', bodies),
  ...group(
    'an answer',
    answers.map(([name, answer, run = asking({})]) => [name, run, answer]),
  ),
  ...group('using', uses),
];
