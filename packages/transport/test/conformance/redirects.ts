/** @module Subjects: redirects. */
import type { Door } from './doors.js';
import type { Exchange } from './origin.js';
import { answering, caught, type Subject, seen } from './subject.js';

/** The first request is sent on to `location`; those after it are answered. */
const onward =
  (status: number, location: string | ((door: Door) => string) | null, body = 'moved') =>
  (exchange: Exchange, door: Door): void => {
    const there = typeof location === 'function' ? location(door) : location;
    if (exchange.server === 'A' && exchange.n === 1)
      exchange.reply(status, there === null ? {} : { Location: there }, body);
    else exchange.reply(200, { 'x-here': exchange.server }, 'ok');
  };

const headers = {
  authorization: 'me',
  cookie: 'a=b',
  'proxy-authorization': 'p',
  host: 'h.example',
  'x-a': '1',
  'content-language': 'de',
  'content-location': '/c',
  'content-encoding': 'x-own',
};
const { 'proxy-authorization': _, host: __, ...plainHeaders } = headers;

const codes = [300, 301, 302, 303, 304, 305, 306, 307, 308, 399];
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'post'];

function form(): FormData {
  const data = new FormData();
  data.append('a', 'b');
  return data;
}

const bodiesOf: [string, () => object][] = [
  ['text', () => ({ method: 'POST', body: 'abc' })],
  ['bytes', () => ({ method: 'PUT', body: Buffer.from('abc') })],
  ['a Blob', () => ({ method: 'POST', body: new Blob(['abc'], { type: 'a/b' }) })],
  ['parameters', () => ({ method: 'POST', body: new URLSearchParams({ a: 'b' }) })],
  ['a stream', () => ({ method: 'POST', body: new Blob(['abc']).stream(), duplex: 'half' })],
  ['an empty body', () => ({ method: 'POST', body: '' })],
  ['a form', () => ({ method: 'POST', body: form() })],
];

const locations: [string, string | ((door: Door) => string)][] = [
  ['a path', '/there'],
  ['a relative path', 'there'],
  ['a relative path upwards', '../../there/./a'],
  ['a query alone', '?there'],
  ['a scheme-relative URL', (door) => `${door.origin.replace('http:', '')}/there`],
  ['the same origin, in full', (door) => `${door.origin}/there`],
  ['another origin', (door) => `${door.other}/there`],
  ['another origin, scheme-relative', (door) => `${door.other.replace('http:', '')}/there`],
  ['a fragment', '/there#f'],
  ['a path beyond ASCII', '/th\xe9re?\xfc'],
  ['a path in UTF-8', Buffer.from('/thére').toString('latin1')],
  ['blanks', '/th ere'],
  ['blanks around it', '  /there  '],
  ['an encoded path', '/%41%2f%20'],
  ['nothing', ''],
  ['credentials of the same origin', (door) => `${door.origin.replace('://', '://u:p@')}/there`],
  ['credentials elsewhere', (door) => `${door.other.replace('://', '://u:p@')}/there`],
  ['no URL', 'http://'],
  ['a data URL', 'data:text/plain,abc'],
  ['another scheme', 'ftp://example.com/'],
  ['javascript', 'javascript:1'],
  ['a bad port', 'http://a:99999/'],
  ['a port that fetch refuses', 'http://127.0.0.1:1/'],
];

const redirect = (name: string, answer: Subject['answer'], init?: (door: Door) => unknown): Subject =>
  answering(`redirect: ${name}`, answer, seen, init);

/** Fetches `from` rather than `/x`. */
const from = (name: string, path: string, answer: Subject['answer'], init?: () => unknown): Subject => ({
  name: `redirect: ${name}`,
  answer,
  run: async (door) => seen(await door.fetch(`${door.origin}${path}`, init?.())),
});

const countdown = (exchange: Exchange): void => {
  const left = Number(exchange.path.slice(1));
  if (left > 0) exchange.reply(302, { location: `/${left - 1}` });
  else exchange.reply(200, {}, 'ok');
};

export const redirects: Subject[] = [
  ...codes.flatMap((status) =>
    methods.map((method) =>
      redirect(`${status} to ${method}`, onward(status, '/there'), () => ({ method, headers: plainHeaders })),
    ),
  ),
  ...[301, 302, 303, 307, 308].flatMap((status) =>
    bodiesOf.map(([name, init]) => redirect(`${status} with ${name}`, onward(status, '/there'), init)),
  ),
  ...[301, 303, 307].flatMap((status) =>
    bodiesOf.map(([name, init]) =>
      redirect(
        `${status} elsewhere with ${name}`,
        onward(status, (door) => `${door.other}/there`),
        init,
      ),
    ),
  ),
  ...locations.map(([name, location]) => redirect(`to ${name}`, onward(302, location))),
  from('keeps the fragment of the first URL', '/x#first', onward(302, '/there')),
  from('takes the fragment of the location', '/x#first', onward(302, '/there#second')),
  from('relative to a deep path', '/x/y/z?q', onward(302, 'there')),
  redirect(
    'strips credentials for another origin',
    onward(307, (door) => `${door.other}/there`),
    () => ({ headers }),
  ),
  redirect('keeps credentials for the same origin', onward(307, '/there'), () => ({ headers })),
  redirect(
    'strips credentials on the way out and back',
    (exchange, door) => {
      if (exchange.path === '/x') exchange.reply(302, { location: `${door.other}/y` });
      else if (exchange.path === '/y') exchange.reply(302, { location: `${door.origin}/z` });
      else exchange.reply(200);
    },
    () => ({ headers: plainHeaders }),
  ),
  ...[301, 303, 307].map((status) =>
    redirect(`${status}, POST, headers about the body`, onward(status, '/there'), () => ({
      method: 'POST',
      body: 'abc',
      headers: { ...plainHeaders, 'content-type': 'a/b', 'content-length': '3' },
    })),
  ),
  ...codes.map((status) => redirect(`${status} without location`, onward(status, null))),
  redirect('two locations', (exchange) =>
    exchange.path === '/x'
      ? exchange.reply(302, [
          ['location', '/a'],
          ['location', '/b'],
        ])
      : exchange.reply(200),
  ),
  ...[301, 302, 303, 307, 308, 304].map((status) =>
    redirect(`${status}, manual`, onward(status, '/there'), () => ({ redirect: 'manual' })),
  ),
  redirect('manual with POST', onward(307, '/there'), () => ({ method: 'POST', body: 'abc', redirect: 'manual' })),
  redirect('manual without location', onward(302, null), () => ({ redirect: 'manual' })),
  redirect('manual to no URL', onward(302, 'http://'), () => ({ redirect: 'manual' })),
  ...[301, 304, 307].map((status) =>
    redirect(`${status}, error`, onward(status, '/there'), () => ({ redirect: 'error' })),
  ),
  redirect('error without location', onward(302, null), () => ({ redirect: 'error' })),
  from('twenty', '/20', countdown),
  from('twenty-one', '/21', countdown),
  from('twenty-one, manual', '/21', countdown, () => ({ redirect: 'manual' })),
  redirect('a coded body is not decoded on the way', (exchange) =>
    exchange.path === '/x'
      ? exchange.reply(302, { location: '/y', 'content-encoding': 'gzip' }, 'no gzip')
      : exchange.reply(200, {}, 'ok'),
  ),
  redirect('with a body that never ends', (exchange) =>
    exchange.path === '/x'
      ? exchange.raw('HTTP/1.1 302 Found\r\nlocation: /y\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n')
      : exchange.reply(200, {}, 'ok'),
  ),
  redirect('to a server that hangs up', (exchange) =>
    exchange.path === '/x' ? exchange.reply(302, { location: '/y' }) : void exchange.socket.destroy(),
  ),
  {
    name: 'redirect: aborted between the two',
    answer: (exchange) => {
      if (exchange.path === '/x') exchange.reply(302, { location: '/y' });
    },
    run: async (door) => {
      const controller = new AbortController();
      const pending = caught(door.fetch(`${door.origin}/x`, { signal: controller.signal }));
      await door.a.arrived(2);
      const reason = new RangeError('mine');
      controller.abort(reason);
      return (await pending) === reason;
    },
  },
  {
    name: 'redirect: a Request with a body',
    answer: onward(307, '/there'),
    run: async (door) => seen(await door.fetch(new Request(`${door.origin}/x`, { method: 'POST', body: 'abc' }))),
  },
  {
    name: 'redirect: a Request with redirect: manual',
    answer: onward(307, '/there'),
    run: async (door) => seen(await door.fetch(new Request(`${door.origin}/x`, { redirect: 'manual' }))),
  },
  {
    name: 'redirect: 303 with a stream that nobody has read to its end',
    answer: onward(303, '/there'),
    run: async (door) =>
      seen(await door.fetch(`${door.origin}/x`, { method: 'PUT', body: new Blob(['abc']).stream(), duplex: 'half' })),
  },
];
