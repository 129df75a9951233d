/** @module Subjects: heads and bodies, and what a `Response` tells of them. */
import { readAll } from './streams.js';
import { answering, caught, headOf, raw, reply, type Subject, seen, tried } from './subject.js';

const statuses = [
  ...[200, 201, 202, 203, 206, 207, 226, 300, 400, 401, 402, 404, 407, 408, 409, 410, 418, 421, 425, 429, 431, 451],
  ...[500, 501, 502, 503, 504, 511, 599, 600, 999],
];
const bodiless = [204, 205, 304];

const reasons: [string, string][] = [
  ['text', 'Fine by me'],
  ['nothing', ''],
  ['Latin-1', 'B\xfccher'],
  ['a tab', 'a\tb'],
];

const headerLists: [string, [string, string][]][] = [
  [
    'names in any case',
    [
      ['X-A', '1'],
      ['x-B', '2'],
      ['ETAG', '"e"'],
    ],
  ],
  [
    'one name more than once',
    [
      ['x-a', '1'],
      ['X-A', '2'],
      ['x-a', ''],
    ],
  ],
  [
    'cookies',
    [
      ['Set-Cookie', 'a=1; Path=/'],
      ['x', 'y'],
      ['set-cookie', 'b=2, c'],
      ['SET-COOKIE', 'a=1; Path=/'],
    ],
  ],
  ['one cookie', [['set-cookie', 'a=1, b']]],
  [
    'empty values',
    [
      ['a', ''],
      ['b', '  '],
    ],
  ],
  [
    'blanks around values',
    [
      ['a', '  1  '],
      ['b', '\t2\t'],
    ],
  ],
  ['Latin-1', [['a', 'B\xfccher']]],
  ['UTF-8', [['a', Buffer.from('Bücher').toString('latin1')]]],
  [
    'names of Object.prototype',
    [
      ['constructor', 'a'],
      ['toString', 'b'],
      ['hasOwnProperty', 'c'],
    ],
  ],
  ['__proto__', [['__proto__', 'a']]],
  [
    'numbers as names',
    [
      ['10', 'a'],
      ['9', 'b'],
      ['x', 'c'],
      ['1', 'd'],
    ],
  ],
  [
    'an order that is not the alphabet',
    [
      ['z', '1'],
      ['a', '2'],
      ['m', '3'],
    ],
  ],
  ['many', Array.from({ length: 100 }, (_, i): [string, string] => [`x-${i}`, `${i}`])],
  [
    'hop-by-hop ones',
    [
      ['keep-alive', 'timeout=5'],
      ['connection', 'keep-alive, x-a'],
      ['x-a', '1'],
    ],
  ],
  ['trailers announced', [['trailer', 'x-t']]],
];

const texts: [string, Buffer | string, string?][] = [
  ['JSON', '{"a":[1,"ü"],"__proto__":1}', 'application/json'],
  ['no JSON', '{"a":'],
  ['nothing', ''],
  ['a byte order mark', '\ufeff{"a":1}'],
  ['two byte order marks', '\ufeff\ufeff1'],
  ['half a byte order mark', Buffer.from([0xef, 0xbb])],
  ['UTF-16', Buffer.from('\ufeff"a"', 'utf16le'), 'text/plain; charset=utf-16'],
  ['broken UTF-8', Buffer.from([0x22, 0xff, 0xc3, 0x28, 0xe2, 0x82, 0xf0, 0x9f, 0x22])],
  ['a character cut off', Buffer.from([0x61, 0xf0, 0x9f, 0x98])],
  ['NUL', 'a\0b'],
  ['Latin-1 that says so', Buffer.from([0xfc]), 'text/plain; charset=iso-8859-1'],
  ['parameters', 'a=b+c&d=%C3%BC&a=2', 'application/x-www-form-urlencoded'],
  ['a multipart form', multipart(), 'multipart/form-data; boundary=b'],
  ['a multipart form that is cut off', multipart().slice(0, 60), 'multipart/form-data; boundary=b'],
  ['a type with capitals', 'x', 'Text/HTML; Charset=UTF-8'],
  ['a type that is none', 'x', 'no type'],
  ['two types', 'x', 'a/b, c/d'],
];

function multipart(): string {
  const part = (head: string, body: string): string =>
    `--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`;
  const file = 'name="f"; filename="a%22b.txt"\r\nContent-Type: text/x';
  return `${part('name="a"', 'b')}${part('name="a"', 'ü')}${part(file, 'file')}--b--\r\n`;
}

type Reading = (response: Response) => Promise<unknown>;

/** What Node 22 has and its types do not tell. */
type Whole = Response & { bytes(): Promise<Uint8Array> };

const readings: [string, Reading][] = [
  ['text', (r) => r.text()],
  ['json', (r) => r.json()],
  ['bytes', (r) => (r as Whole).bytes()],
  ['arrayBuffer', (r) => r.arrayBuffer()],
  ['blob', async (r) => ((blob) => [blob.type, blob.size, blob.text()])(await r.blob())],
  ['formData', async (r) => Promise.all([...(await r.formData())].map(([name, value]) => entry(name, value)))],
  ['stream', async (r) => readAll(r.body)],
];

async function entry(name: string, value: string | File): Promise<unknown> {
  return typeof value === 'string' ? [name, value] : [name, value.name, value.type, await value.text()];
}

/** Reads in one way, then looks at what is left in every way. */
async function exhaust(response: Response, read: Reading): Promise<unknown> {
  const first = await caught(read(response));
  const after: unknown[] = [response.bodyUsed, tried(() => response.clone().status), response.body?.locked ?? null];
  for (const [, again] of readings.slice(0, 6)) after.push(await caught(again(response)));
  return { first, after };
}

const head = 'HTTP/1.1 200 OK\r\n';

export const answers: Subject[] = [
  ...statuses.map((status) => answering(`status ${status}`, reply(status))),
  ...bodiless.flatMap((status) => [
    answering(`status ${status}`, reply(status, {}, '')),
    ...readings.map(([how, read]) =>
      answering(`status ${status}, read as ${how}`, reply(status, {}, ''), (r) => exhaust(r, read)),
    ),
    answering(`status ${status}, clone`, reply(status, {}, ''), async (r) => [await seen(r.clone()), await seen(r)]),
    answering(`status ${status} with a coding`, reply(status, { 'content-encoding': 'gzip' }, '')),
    answering(`status ${status} with a content-length of 0`, reply(status, { 'content-length': '0' }, '')),
  ]),
  answering('status 205 with a body', reply(205)),
  ...['GET', 'POST', 'PUT'].map((method) =>
    answering(`status 304 to ${method}`, reply(304, { etag: '"a"' }, ''), seen, () => ({ method })),
  ),
  ...readings.map(([how, read]) =>
    answering(
      `HEAD, read as ${how}`,
      reply(200, { 'content-length': '5' }),
      (r) => exhaust(r, read),
      () => ({ method: 'HEAD' }),
    ),
  ),
  answering('HEAD with a coding', reply(200, { 'content-encoding': 'gzip', 'content-length': '9' }), seen, () => ({
    method: 'HEAD',
  })),
  ...reasons.map(([name, text]) =>
    answering(
      `reason: ${name}`,
      (exchange) => exchange.reply(200, {}, '', text),
      (r) => r.statusText,
    ),
  ),
  answering('no reason and no blank', raw('HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n')),
  ...headerLists.map(([name, list]) =>
    answering(`reply headers: ${name}`, reply(200, list), ({ headers }) => ({
      all: headers,
      cookies: headers.getSetCookie(),
      some: ['x-a', 'X-A', 'set-cookie', 'a', 'none', '__proto__'].map((each) => [
        headers.get(each),
        headers.has(each),
      ]),
    })),
  ),
  answering('reply headers are immutable', reply(200), ({ headers }) => [
    tried(() => headers.set('a', 'b')),
    tried(() => headers.append('a', 'b')),
    tried(() => headers.delete('content-length')),
    headers,
  ]),
  ...texts.flatMap(([name, body, type]) =>
    readings.map(([how, read]) =>
      answering(`${name}, read as ${how}`, reply(200, type === undefined ? {} : { 'content-type': type }, body), (r) =>
        exhaust(r, read),
      ),
    ),
  ),
  ...[100, 102, 103].map((status) =>
    answering(`${status} before the answer`, (exchange) => {
      exchange.raw(`HTTP/1.1 ${status} Info\r\nx-early: 1\r\n\r\n`);
      exchange.reply(200, { 'x-late': '1' }, 'ok');
    }),
  ),
  answering(
    'three 1xx before the answer',
    raw('HTTP/1.1 102 a\r\n\r\nHTTP/1.1 103 b\r\n\r\nHTTP/1.1 102 c\r\n\r\n', `${head}content-length: 2\r\n\r\nok`),
  ),
  answering('101 that nobody asked for', raw('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n')),
  answering('a chunked body', raw(`${head}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n`)),
  answering('trailers', raw(`${head}transfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2\r\nab\r\n0\r\nx-t: 1\r\n\r\n`)),
  answering('a body that ends with the connection', (exchange) => {
    exchange.raw(`${head}connection: close\r\n\r\nabc`);
    exchange.socket.end();
  }),
  answering('HTTP/1.0', (exchange) => {
    exchange.raw('HTTP/1.0 200 OK\r\n\r\nabc');
    exchange.socket.end();
  }),
  answering('a head in pieces', (exchange) => {
    for (const byte of `${head}X-A: 1\r\ncontent-length: 2\r\n\r\nok`) exchange.raw(byte);
  }),
  answering('a large body', reply(200, {}, Buffer.alloc(3_000_000, 'abcdefg')), async (r) => (await r.text()).length),
  answering('only the head is looked at', reply(200, { 'x-a': '1' }), (r) => headOf(r)),
];
