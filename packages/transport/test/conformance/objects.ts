/** @module Subjects: the `Response` as an object among others. */
import { inspect, types } from 'node:util';
import type { Exchange } from './origin.js';
import { answering, caught, headOf, type Subject, seen, tried } from './subject.js';

const json = (exchange: Exchange): void =>
  exchange.reply(
    201,
    [
      ['content-type', 'application/json'],
      ['x-a', '1'],
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
    ],
    '{"a":1}',
  );
const moved = (exchange: Exchange): void =>
  exchange.path === '/x' ? exchange.reply(302, { location: '/y' }) : exchange.reply(200, {}, 'ok');

type Look = (response: Response) => unknown;

const object = (name: string, look: Look, answer: Subject['answer'] = json): Subject =>
  answering(`object: ${name}`, answer, look);

const members = [
  ...['arrayBuffer', 'blob', 'body', 'bodyUsed', 'bytes', 'clone', 'formData', 'headers', 'json', 'ok'],
  ...['redirected', 'status', 'statusText', 'text', 'type', 'url'],
];

/** The real thing: what ours gives with `toResponse()`, and what the built-in fetch gives anyway. */
function real(response: Response): Response {
  return (response as Response & { toResponse?(): Response }).toResponse?.() ?? response;
}

const brands: [string, Look][] = [
  ['Response.prototype.text', (r) => Response.prototype.text.call(real(r))],
  ['Response.prototype.json', (r) => Response.prototype.json.call(real(r))],
  ['Response.prototype.clone', (r) => Response.prototype.clone.call(real(r)).text()],
  ['the getter of status', (r) => statusOf(real(r))],
  ['the getter of url', (r) => [real(r).url, urlOf(real(r))]],
  ['new Response of it', (r) => seen(new Response(real(r).body, real(r)))],
  ['its own properties', (r) => Reflect.ownKeys(real(r)).filter((each) => typeof each === 'string')],
  ['everything', (r) => seen(real(r))],
  ['WebAssembly', (r) => caught(compileStreaming(real(r)))],
];

/** What the types of Node leave out. */
const { compileStreaming } = (
  globalThis as never as Record<string, { compileStreaming: (r: Response) => Promise<unknown> }>
).WebAssembly as { compileStreaming: (r: Response) => Promise<unknown> };

function getter(name: string): (response: Response) => unknown {
  const { get } = Object.getOwnPropertyDescriptor(Response.prototype, name) as PropertyDescriptor;
  return (response) => (get as () => unknown).call(response);
}
const statusOf = getter('status');
const urlOf = getter('url');

export const objects: Subject[] = [
  object('is a Response', (r) => [
    r instanceof Response,
    Object.prototype.toString.call(r),
    String(r),
    r.constructor.name,
    r.constructor === Response,
    r[Symbol.toStringTag as never],
  ]),
  object('its members', (r) => members.map((name) => [name, name in r, typeof (r as never)[name]])),
  object('what for-in finds', (r) => {
    const names: string[] = [];
    for (const name in r) names.push(name);
    return names.sort();
  }),
  object('what is its own', (r) => [Object.keys(r), JSON.stringify(r), { ...r }]),
  object('members cannot be set', (r) =>
    members.map((name) => tried(() => void ((r as never)[name] = 1 as never)) instanceof TypeError),
  ),
  object('takes properties', (r) => Object.assign(r, { mine: 1 }).mine),
  object('headers are one object', (r) => [Object.is(r.headers, r.headers), r.headers instanceof Headers]),
  object('inspect', (r) => inspect(r, { breakLength: 1000 }).replace(/ReadableStream \{.*?\}/, 'ReadableStream')),
  object('inspect, not deep', (r) => inspect(r, { depth: -1 })),
  object('is no Proxy', (r) => [types.isProxy(r), Object.isExtensible(r)]),
  object('structuredClone', (r) => tried(() => structuredClone(r))),
  object('clone', async (r) => {
    const clone = r.clone();
    return [clone instanceof Response, clone.constructor === r.constructor, await seen(clone), await seen(r)];
  }),
  object('clone, the original read first', async (r) => {
    const clone = r.clone();
    return [await r.text(), clone.bodyUsed, await clone.text()];
  }),
  object('clone of a clone', async (r) => {
    const clone = r.clone().clone();
    return [headOf(clone), await clone.text(), await r.text()];
  }),
  object('clone keeps url and redirected', (r) => [r.clone().url, r.clone().redirected], moved),
  object('headers of a clone are its own', (r) => r.clone().headers === r.headers),
  object('clone after its stream was made', async (r) => {
    void r.body;
    return [await r.clone().text(), await r.text()];
  }),
  object('clone while it is read', async (r) => {
    const reading = r.text();
    return [tried(() => r.clone()), await reading];
  }),
  object('new Response of its body', async (r) => {
    const made = new Response(r.body, r);
    return [r.bodyUsed, await seen(made), r.bodyUsed];
  }),
  object('new Response with its headers', async (r) =>
    seen(new Response('x', { headers: r.headers, status: r.status })),
  ),
  object('new Headers of its headers', (r) => new Headers(r.headers)),
  object('headers as an object', (r) => Object.fromEntries(r.headers)),
  object('two reads at once', async (r) => Promise.all([caught(r.text()), caught(r.json())])),
  object('methods taken off it', (r) => {
    const { text } = r;
    return caught((async () => text())()).then((error) => error instanceof TypeError);
  }),
  object('await of it', async (r) => (await r) === r),
  object('redirected', (r) => headOf(r), moved),
  ...brands.map(([name, look]) => object(`real one: ${name}`, look)),
  ...brands
    .slice(0, 5)
    .map(([name, look]) => object(`real one, redirected: ${name}`, (r) => caught(Promise.resolve(look(r))), moved)),
  object('real one: bodyUsed of the first', async (r) => {
    const it = real(r);
    await it.text();
    return [r.bodyUsed, it.bodyUsed];
  }),
];
