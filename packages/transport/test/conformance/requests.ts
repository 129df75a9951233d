/** @module Subjects: methods, headers, URLs, `Request` objects and options. */
import type { Door } from './doors.js';
import { caught, type Subject, seen, sending, tried } from './subject.js';

const methods = [
  ...['GET', 'get', 'Get', 'post', 'pUt', 'delete', 'head', 'options', 'patch', 'PATCH', 'Patch', 'QUERY', 'query'],
  ...['CONNECT', 'connect', 'TRACE', 'trace', 'TRACK', 'Track', 'PROPFIND', 'FOO', 'a-b', 'M!', '', 'a b', 'a\nb', 'ü'],
  ...[null, 1, {}],
];

const values: [string, string][] = [
  ['plain', 'b'],
  ['empty', ''],
  ['blanks around it', ' \t b c \t '],
  ['only blanks', '  '],
  ['line breaks around it', '\r\nb\r\n'],
  ['Latin-1', 'ü\xa0'],
  ['beyond Latin-1', '€'],
  ['a line break', 'a\r\nb: c'],
  ['a bare LF', 'a\nb'],
  ['NUL', 'a\0b'],
  ['a control character', 'a\x01b'],
  ['DEL', 'a\x7fb'],
  ['a tab', 'a\tb'],
  ['long', 'x'.repeat(10_000)],
];

const forbidden = [
  ...['accept-charset', 'accept-language', 'access-control-request-method', 'cookie', 'cookie2', 'date', 'dnt', 'host'],
  ...['origin', 'referer', 'set-cookie', 'user-agent', 'via', 'proxy-x', 'sec-x', 'sec-fetch-mode', 'expect', 'te'],
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'proxy-authenticate', 'trailer', 'range'],
  ...['transfer-encoding', 'upgrade', 'content-length', 'accept-encoding', 'accept', 'pragma', 'cache-control'],
  ...['if-none-match', 'if-modified-since', 'content-encoding', 'x-http-method-override', 'http2-settings', 'priority'],
];

const shapes: [string, () => unknown][] = [
  ['an object', () => ({ 'X-A': '1', 'x-b': '2' })],
  ['numbers and other values', () => ({ a: 1, b: true, c: null, d: undefined, e: { toString: () => 'f' }, g: [1, 2] })],
  ['names that differ in case', () => ({ 'X-A': '1', 'x-a': '2' })],
  ['Headers', () => new Headers({ 'X-A': '1' })],
  [
    'Headers with cookies',
    () =>
      new Headers([
        ['set-cookie', 'a'],
        ['set-cookie', 'b'],
        ['cookie', 'c'],
      ]),
  ],
  [
    'pairs',
    () => [
      ['X-A', '1'],
      ['x-a', '2'],
      ['X-B', '3'],
    ],
  ],
  [
    'cookies in pairs',
    () => [
      ['cookie', 'a=b'],
      ['Cookie', 'c=d'],
    ],
  ],
  ['a Map', () => new Map([['X-A', '1']])],
  [
    'a generator of pairs',
    () =>
      (function* () {
        yield ['X-A', '1'];
      })(),
  ],
  ['pairs that are no pairs', () => [['a']]],
  ['triples', () => [['a', 'b', 'c']]],
  ['text', () => 'a: b'],
  ['a number', () => 1],
  ['null', () => null],
  ['an empty object', () => ({})],
  ['a null prototype', () => Object.assign(Object.create(null), { a: 'b' })],
  ['inherited names', () => Object.create({ a: 'b' })],
  [
    'an instance of a class',
    () =>
      new (class {
        a = 'b';
      })(),
  ],
  ['names that are not enumerable', () => Object.defineProperty({}, 'a', { value: 'b' })],
  ['a symbol as a name', () => ({ [Symbol('s')]: 'b' })],
  ['an empty name', () => ({ '': 'b' })],
  ['a name with a blank', () => ({ 'a b': 'c' })],
  ['a name with a colon', () => ({ 'a:': 'c' })],
  ['a name beyond ASCII', () => ({ ü: 'c' })],
  ['names of Object.prototype', () => ({ constructor: 'a', tostring: 'b' })],
  ['__proto__', () => JSON.parse('{"__proto__":"a"}')],
  ['all token characters', () => ({ "a!#$%&'*+-.^_`|~09": 'b' })],
];

type Locate = (door: Door) => unknown;

const urls: [string, Locate][] = [
  ['no path', (door) => door.origin],
  ['a fragment', (door) => `${door.origin}/x#f`],
  ['a fragment without path', (door) => `${door.origin}#f?g`],
  ['an empty query', (door) => `${door.origin}/x?`],
  ['an empty query and fragment', (door) => `${door.origin}/x?#`],
  ['a query without path', (door) => `${door.origin}?a=b`],
  ['a path beyond ASCII', (door) => `${door.origin}/ä€😀/x?ü=€`],
  ['blanks, quotes and brackets', (door) => `${door.origin}/a b"<>\`{}|^[]?a b"<>\`{}|^[]'`],
  ['encoded characters', (door) => `${door.origin}/%41%2f%2F%00%zz%?%41%2f%zz`],
  ['dot segments', (door) => `${door.origin}/a/./b/../c/%2e%2E/d/.`],
  ['empty segments', (door) => `${door.origin}/a//b///`],
  ['an empty first segment', (door) => `${door.origin}//a/b`],
  ['a backslash for a first segment', (door) => `${door.origin}/\\a`],
  ['backslashes', (door) => `${door.origin}/a\\b\\..\\c`],
  ['tabs and line breaks', (door) => ` ${door.origin}/a\tb\nc\r `],
  ['a lone surrogate', (door) => `${door.origin}/\ud800?\udfff`],
  ['all that needs no encoding', (door) => `${door.origin}/AZaz09-._~!$&'()*+,;=:@?AZaz09-._~!$&()*+,;=:@/?`],
  ['a scheme in upper case', (door) => door.origin.replace('http', 'HTTP')],
  ['a host in upper case', (door) => `${door.origin.toUpperCase()}/x`],
  ['an IPv4 address in disguise', (door) => `http://0x7f.1:${door.a.port}/x`],
  ['full-width digits', (door) => `http://１２７.0.0.1:${door.a.port}/x`],
  ['a URL', (door) => new URL(`${door.origin}/x?y#z`)],
  ['something with toString', (door) => ({ toString: () => `${door.origin}/x` })],
  ['credentials', (door) => `http://user:pw@${door.address}/x`],
  ['a user', (door) => `http://user@${door.address}/x`],
  ['an empty user', (door) => `http://@${door.address}/x`],
  ['no URL', () => 'x'],
  ['an empty text', () => ''],
  ['a path alone', () => '/x'],
  ['no host', () => 'http://'],
  ['a bad port', () => 'http://a:99999/'],
  ['a bad host', () => 'http://a b/'],
  ['undefined', () => undefined],
  ['null', () => null],
  ['a symbol', () => Symbol('s')],
  ['a data URL', () => 'data:text/plain,abc'],
  ['a blob URL of nothing', () => 'blob:nodedata:x'],
  ['a file URL', () => 'file:///etc/hosts'],
  ['an unknown scheme', () => 'foo:bar'],
];

const request = (
  name: string,
  make: (door: Door) => [unknown, unknown?],
  after?: (request: Request, door: Door) => unknown,
): Subject => ({
  name: `Request: ${name}`,
  run: async (door) => {
    const [input, init] = make(door);
    const outcome = await caught(door.fetch(input, init).then(seen));
    const later = after === undefined ? null : await after(input as Request, door);
    return { outcome, used: (input as Request).bodyUsed, later };
  },
});

const at = (door: Door, init?: object): Request => new Request(`${door.origin}/x`, init as RequestInit);
const abc = { method: 'POST', body: 'abc', headers: { 'x-a': '1', authorization: 'me' } };

const requestObjects: Subject[] = [
  request('plain', (door) => [at(door)]),
  request('with a body', (door) => [at(door, abc)]),
  request('with a stream', (door) => [at(door, { ...abc, body: new Blob(['abc']).stream(), duplex: 'half' })]),
  request('with a form', (door) => [at(door, { method: 'POST', body: new URLSearchParams({ a: 'b' }) })]),
  request('with an empty body', (door) => [at(door, { method: 'POST', body: '' })]),
  request(
    'used twice',
    (door) => [at(door, abc)],
    (it, door) => caught(door.fetch(it).then(seen)),
  ),
  request(
    'without a body, used twice',
    (door) => [at(door)],
    (it, door) => caught(door.fetch(it).then(seen)),
  ),
  request('a clone', (door) => [at(door, abc).clone()]),
  request('with another method', (door) => [at(door, abc), { method: 'PUT' }]),
  request('with another body', (door) => [at(door, abc), { body: 'def' }]),
  request('with a null body over it', (door) => [at(door, abc), { body: null }]),
  request('with an undefined body over it', (door) => [at(door, abc), { body: undefined }]),
  request('with other headers', (door) => [at(door, abc), { headers: { 'x-b': '2' } }]),
  request('with undefined over everything', (door) => [
    at(door, abc),
    { method: undefined, headers: undefined, body: undefined, signal: undefined, redirect: undefined },
  ]),
  request('turned into a GET', (door) => [at(door, abc), { method: 'GET' }]),
  request('a GET with a body put over it', (door) => [at(door), { body: 'abc' }]),
  request('that has been read', (door) => {
    const used = at(door, abc);
    void used.text();
    return [used];
  }),
  request('that has been read, with another body', (door) => {
    const used = at(door, abc);
    void used.text();
    return [used, { body: 'def' }];
  }),
  request('that is being read', (door) => {
    const busy = at(door, abc);
    busy.body?.getReader();
    return [busy];
  }),
  request('with an aborted signal', (door) => [at(door, { signal: AbortSignal.abort(new RangeError('mine')) })]),
  request('with an aborted signal that is taken away', (door) => [
    at(door, { signal: AbortSignal.abort() }),
    { signal: null },
  ]),
  request('with redirect: error', (door) => [at(door, { redirect: 'error' })]),
  request('without headers of its own', (door) => [at(door), { headers: { accept: 'a/b' } }]),
  request('with integrity', (door) => [at(door, { integrity: 'sha256-JOFvhDWmVPFQ2JLOKrRUeIkWBlqA7eIvgUWPPlBFrD4=' })]),
  request('with integrity that does not hold', (door) => [at(door, { integrity: 'sha256-AAAA' })]),
  request('with integrity put over it', (door) => [at(door, abc), { integrity: 'sha256-AAAA' }]),
  request('with a cache mode', (door) => [at(door, { cache: 'reload' })]),
  request('of a subclass', (door) => [new (class Mine extends Request {})(`${door.origin}/x`, abc as RequestInit)]),
];

const options: [string, object | null | string][] = [
  ['null', null],
  ['text', 'x'],
  ['nothing it knows', { foo: 1 }],
  ['redirect unknown', { redirect: 'maybe' }],
  ['redirect null', { redirect: null }],
  ['redirect undefined', { redirect: undefined }],
  ['signal that is none', { signal: {} }],
  ['signal null', { signal: null }],
  ['signal undefined', { signal: undefined }],
  ['mode', { mode: 'cors' }],
  ['mode same-origin', { mode: 'same-origin' }],
  ['mode navigate', { mode: 'navigate' }],
  ['mode unknown', { mode: 'maybe' }],
  ['credentials', { credentials: 'include' }],
  ['credentials unknown', { credentials: 'maybe' }],
  ['cache no-store', { cache: 'no-store' }],
  ['cache only-if-cached', { cache: 'only-if-cached' }],
  ['referrer', { referrer: 'http://example.com/' }],
  ['referrer that is no URL', { referrer: 'http://' }],
  ['referrerPolicy', { referrerPolicy: 'no-referrer' }],
  ['keepalive', { keepalive: true }],
  ['integrity', { integrity: 'sha256-JOFvhDWmVPFQ2JLOKrRUeIkWBlqA7eIvgUWPPlBFrD4=' }],
  ['integrity that does not hold', { integrity: 'sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' }],
  ['integrity empty', { integrity: '' }],
  ['cache default', { cache: 'default' }],
  ['cache reload', { cache: 'reload' }],
  ['cache no-cache', { cache: 'no-cache' }],
  ['cache force-cache', { cache: 'force-cache' }],
  ['cache unknown', { cache: 'maybe' }],
  ['mode no-cors', { mode: 'no-cors' }],
  ['referrer of nobody', { referrer: '' }],
  ['integrity in an unknown algorithm', { integrity: 'md5-x' }],
  [
    'integrity with a signal that has aborted',
    { integrity: 'sha256-x', signal: AbortSignal.abort(new RangeError('x')) },
  ],
  ['window', { window: null }],
  ['window not null', { window: 1 }],
  ['priority', { priority: 'high' }],
];

export const requests: Subject[] = [
  sending('nothing but a URL'),
  ...methods.map((method) => sending(`method: ${JSON.stringify(method)}`, () => ({ method }))),
  sending('method: undefined', () => ({ method: undefined })),
  ...values.map(([name, value]) => sending(`header value: ${name}`, () => ({ headers: { a: value } }))),
  ...values.map(([name, value]) => sending(`header value in Pairs: ${name}`, () => ({ headers: [['A', value]] }))),
  ...forbidden.map((name) => sending(`header: ${name}`, () => ({ headers: { [name]: '3' } }))),
  ...forbidden.map((name) =>
    sending(`header with POST: ${name}`, () => ({ method: 'POST', body: 'abc', headers: { [name]: 'close' } })),
  ),
  ...shapes.map(([name, make]) => sending(`headers: ${name}`, () => ({ headers: make() }))),
  ...['gzip', '', 'identity'].map((coding) =>
    sending(`range, and accept-encoding ${JSON.stringify(coding)}`, () => ({
      headers: { Range: 'bytes=0-1', vary: 'accept-encoding', 'Accept-Encoding': coding },
    })),
  ),
  {
    name: 'case and order of header names',
    run: async (door) => {
      await seen(await door.fetch(`${door.origin}/x`, { headers: { 'X-B': '1', 'x-A': '2', ACCEPT: 'a/b' } }));
      return door.a.exchanges[0]?.headers.map(([name]) => name).filter((name) => /^(x-|accept$)/i.test(name));
    },
  },
  ...urls.map(([name, locate]): Subject => {
    return { name: `URL: ${name}`, run: async (door) => seen(await door.fetch(locate(door))) };
  }),
  {
    name: 'nothing is thrown at once',
    run: async (door) => {
      const wrong = [
        [],
        [undefined],
        ['x'],

        [door.origin, { method: 'a b' }],
        [door.origin, { body: 'x' }],
      ];
      const promises = wrong.map(([input, init]) => tried(() => door.fetch(input, init)));
      return Promise.all(
        promises.map(async (each) => [each instanceof Promise, (await caught(each as never)) instanceof TypeError]),
      );
    },
  },
  {
    name: 'URL: a blob URL',
    run: async (door) => {
      const url = URL.createObjectURL(new Blob(['abc'], { type: 'a/b' }));
      const { status, headers, text } = (await seen(await door.fetch(url))) as Record<string, unknown>;
      URL.revokeObjectURL(url);
      return { status, headers, text };
    },
  },
  ...requestObjects,
  ...options.map(([name, init]) => sending(`options: ${name}`, () => init)),
];
