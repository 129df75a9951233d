/**
 * @module The headers of a reply as `Headers` that are real as far as anybody can tell, without filling one: of the many
 * headers of a reply most callers want one or two by name. It is `instanceof Headers` by its prototype, with every member of
 * its own, and cannot be changed, like those of the built-in fetch.
 */
import { inspect } from 'node:util';
import type { ReplyHeaders } from '@fairlead/core';

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What `Headers` would cut off. */
const blankAround = /^[\t\n\r ]|[\t\n\r ]$/;

type Inspectable = Record<typeof inspect.custom, (depth: number, options: object) => string>;
/** Whatever a caller gives: what is wrong with it, `Headers` itself says best. */
type Given = never[];

/** `Headers` over a {@link ReplyHeaders}. */
export class LeanHeaders {
  readonly #parsed: ReplyHeaders;
  #filled: Headers | null = null;

  constructor(parsed: ReplyHeaders) {
    this.#parsed = parsed;
  }

  #all(): Headers {
    if (this.#filled !== null) return this.#filled;
    const headers = new Headers();
    for (const name of Object.keys(this.#parsed)) {
      const value = this.#parsed[name];
      if (typeof value === 'string') headers.append(name, value);
      else if (value !== undefined) for (const each of value) headers.append(name, each);
    }
    this.#filled = headers;
    return headers;
  }

  get(...given: Given): string | null {
    const value = this.#look(given[0]);
    return typeof value === 'string' && !blankAround.test(value)
      ? value
      : value === null
        ? null
        : this.#all().get(...(given as never as [string]));
  }

  has(...given: Given): boolean {
    const value = this.#look(given[0]);
    return value === undefined ? this.#all().has(...(given as never as [string])) : value !== null;
  }

  /** Null if there is no such header; undefined if `name` may be something that `Headers` makes something else of. */
  #look(name: unknown): string | readonly string[] | null | undefined {
    if (typeof name !== 'string') return undefined;
    const parsed = this.#parsed;
    if (Object.hasOwn(parsed, name)) return parsed[name];
    if (!token.test(name)) return undefined;
    const lower = name.toLowerCase();
    return Object.hasOwn(parsed, lower) ? parsed[lower] : null;
  }

  getSetCookie(): string[] {
    return this.#all().getSetCookie();
  }
  entries(): ReturnType<Headers['entries']> {
    return this.#all().entries();
  }
  keys(): ReturnType<Headers['keys']> {
    return this.#all().keys();
  }
  values(): ReturnType<Headers['values']> {
    return this.#all().values();
  }

  forEach(...given: Given): void {
    const [callback, thisArg = globalThis] = given as never as [
      (value: string, name: string, headers: unknown) => void,
      unknown,
    ];
    const all = this.#all();
    if (typeof callback !== 'function') all.forEach(...(given as never as [never]));
    else for (const [name, value] of all) callback.call(thisArg, value, name, this);
  }

  append(...given: Given): never {
    return refuse(() => new Headers().append(...(given as never as [string, string])));
  }
  set(...given: Given): never {
    return refuse(() => new Headers().set(...(given as never as [string, string])));
  }
  delete(...given: Given): never {
    return refuse(() => new Headers().delete(...(given as never as [string])));
  }

  [inspect.custom](depth: number, options: object): string {
    return (this.#all() as never as Inspectable)[inspect.custom](depth, options);
  }
}

/** What is wrong with names and values is said first. */
function refuse(change: () => void): never {
  change();
  throw new TypeError('immutable');
}

const own = LeanHeaders.prototype as LeanHeaders & { [Symbol.iterator]?: unknown };
Object.setPrototypeOf(own, Headers.prototype);
own.constructor = Headers;
Object.defineProperty(own, Symbol.iterator, { value: own.entries, writable: true, configurable: true });
// As those of the real one are, for whoever copies with for-in.
for (const name of Object.keys(Headers.prototype)) {
  if (Object.hasOwn(own, name)) Object.defineProperty(own, name, { enumerable: true });
}
