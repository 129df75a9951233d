/** @module Subjects: the `Headers` of a response as an object among others. */
import { inspect } from 'node:util';
import type { Exchange } from './origin.js';
import { answering, type Subject, seen, tried } from './subject.js';

const several = (exchange: Exchange): void =>
  exchange.reply(
    200,
    [
      ['content-type', 'application/json'],
      ['X-A', '1'],
      ['set-cookie', 'a=1; Path=/'],
      ['x-b', ''],
      ['x-a', '2'],
      ['set-cookie', 'b, c'],
      ['x-latin', 'B\xfccher'],
      ['10', 'ten'],
    ],
    '{}',
  );

// biome-ignore lint/suspicious/noExplicitAny: subjects give what no type allows
type Look = (headers: any, response: Response) => unknown;

const object = (name: string, look: Look): Subject =>
  answering(`headers object: ${name}`, several, (response) => look(response.headers, response));

const methods = ['append', 'delete', 'entries', 'forEach', 'get', 'getSetCookie', 'has', 'keys', 'set', 'values'];

const names: [string, unknown][] = [
  ['in lower case', 'x-a'],
  ['as it was sent', 'X-A'],
  ['of cookies', 'Set-Cookie'],
  ['with an empty value', 'x-b'],
  ['with Latin-1', 'x-latin'],
  ['that is a number', 10],
  ['that is not there', 'x-c'],
  ['of Object.prototype', 'constructor'],
  ['__proto__', '__proto__'],
  ['that is none', 'a b'],
  ['that is empty', ''],
  ['beyond Latin-1', '\u{20ac}'],
  ['undefined', undefined],
  ['null', null],
  ['an object', { toString: () => 'X-A' }],
  ['a symbol', Symbol('x-a')],
];

const values: [string, unknown[]][] = [
  ['a name and a value', ['x-a', '3']],
  ['a new name', ['x-new', '3']],
  ['a name that is none', ['a b', '3']],
  ['a value with a line break', ['x-a', 'a\nb']],
  ['a value beyond Latin-1', ['x-a', '\u{20ac}']],
  ['a name alone', ['x-a']],
  ['nothing', []],
  ['a symbol', [Symbol('x'), Symbol('y')]],
];

/** Before anything was looked at, and after everything was. */
const twice = (look: (headers: Headers) => unknown): Look => {
  return (headers) => [look(headers), [...headers].length, look(headers)];
};

export const headerObjects: Subject[] = [
  object('is a Headers', (h) => [
    h instanceof Headers,
    Object.prototype.toString.call(h),
    String(h),
    h.constructor === Headers,
    h[Symbol.toStringTag],
  ]),
  object('its methods', (h) => methods.map((name) => [name, name in h, typeof h[name], h[name].length >= 0])),
  object('is its own iterator of entries', (h) => [h[Symbol.iterator] === h.entries, h[Symbol.iterator].name]),
  object('what for-in finds', (h) => {
    const found: string[] = [];
    for (const name in h) found.push(name);
    return found.sort();
  }),
  object('what is its own', (h) => [Reflect.ownKeys(h), JSON.stringify(h), { ...h }]),
  object('members that are not there', (h) => [h['x-a'], 'x-a' in h, h.toJSON]),
  ...names.map(([name, given]) =>
    object(
      `get a name ${name}`,
      twice((h) => tried(() => h.get(given as string))),
    ),
  ),
  ...names.map(([name, given]) =>
    object(
      `has a name ${name}`,
      twice((h) => tried(() => h.has(given as string))),
    ),
  ),
  object('get of nothing', (h) => tried(() => h.get())),
  object('has of nothing', (h) => tried(() => h.has())),
  object('get and has with more arguments', (h) => [h.get('x-a', 1), h.has('x-a', 1)]),
  object(
    'getSetCookie',
    twice((h) => h.getSetCookie()),
  ),
  object('getSetCookie gives a list of its own', (h) => [h.getSetCookie().push('x'), h.getSetCookie()]),
  object('iteration', (h) => [...h]),
  object('entries', (h) => [[...h.entries()], String(h.entries()), h.entries().next()]),
  object('keys', (h) => [[...h.keys()], String(h.keys())]),
  object('values', (h) => [[...h.values()], String(h.values())]),
  object('forEach', (h) => {
    const found: unknown[] = [];
    const that = {};
    const undone = h.forEach(function (this: unknown, value: string, name: string, all: unknown) {
      found.push([name, value, all === h, this === that]);
    }, that);
    return [found, undone];
  }),
  object('forEach without this', (h) => {
    let self: unknown = 1;
    h.forEach(function (this: unknown) {
      self = this;
    });
    return [self === undefined, self === globalThis];
  }),
  object('forEach that throws', (h) =>
    tried(() =>
      h.forEach(() => {
        throw new RangeError('mine');
      }),
    ),
  ),
  object('forEach of no function', (h) => [tried(() => h.forEach()), tried(() => h.forEach('x'))]),
  ...(['append', 'set', 'delete'] as const).flatMap((method) =>
    values.map(([name, given]) => object(`${method} with ${name}`, (h) => [tried(() => h[method](...given)), [...h]])),
  ),
  object('spread and Object.fromEntries', (h) => [[...h].length, Object.fromEntries(h), new Map(h).size]),
  object('new Headers of it', (h) => {
    const copy = new Headers(h);
    copy.append('x-new', '1');
    return [copy, h.has('x-new'), copy.getSetCookie()];
  }),
  object('new Response with it', async (h) => seen(new Response('x', { headers: h }))),
  object('a request with it', async (h) => new Request('http://a.test/', { headers: h }).headers),
  object('of a clone', (_, response) => {
    const { headers } = response.clone();
    return [[...headers], tried(() => headers.append('a', 'b')), headers === response.headers];
  }),
  object('inspect', (h) => [inspect(h), inspect({ h }, { depth: 0 }), inspect(h, { depth: -1 }), inspect([[[[h]]]])]),
  object('inspect after it was read', (h) => [h.get('x-a'), [...h].length, inspect(h, { compact: false })]),
  object('takes properties', (h) => Object.assign(h, { mine: 1 }).mine),
  object('a method taken off it', (h) => {
    const { get } = h;
    return tried(() => get('x-a')) instanceof TypeError;
  }),
  object('a method of Headers.prototype', (h) => tried(() => Headers.prototype.get.call(h, 'x-b'))),
];
