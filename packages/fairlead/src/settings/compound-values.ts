/** @module The kinds of values that have parts of their own: rates, static replies, sources of endpoints. */
import { type Check, check, checks, type Resolver } from '@fairlead/core';
import type { FallbackReply } from '@fairlead/policies';
import { splitList, type ValueKind } from './values.js';

/** How much is let through. */
export interface Rate {
  /** Calls or requests per second, on average; above 0. */
  readonly perSecond: number;
  /** How many at once after a pause, a whole number from 1; by default those of one second. */
  readonly burst?: number | undefined;
}

const perSecondOf: Readonly<Record<string, number>> = Object.freeze({ s: 1, m: 60, h: 3_600 });
const rateParts: Readonly<Record<string, Check>> = Object.freeze({
  perSecond: checks.above(0),
  burst: checks.integer(1),
});

/** How many at once after a pause; where nobody says it, those of one second. */
export function burstOf({ perSecond, burst }: Rate): number {
  return burst ?? Math.min(Math.max(1, Math.ceil(perSecond)), Number.MAX_SAFE_INTEGER);
}

/** A rate: `100/s`, `6000/m`, `100/s;burst=200`; in code an object. */
export function rate(): ValueKind<Rate> {
  return {
    kind: 'rate',
    expected: 'a rate such as 100/s, 6000/m or 100/s;burst=200',
    example: '100/s;burst=200',
    parts: rateParts,
    check: check('an object such as { perSecond: 100, burst: 200 }', (value) => {
      const { perSecond, burst } = Object(value) as Partial<Rate>;
      return (
        rateParts.perSecond?.test(perSecond) === true && (burst === undefined || rateParts.burst?.test(burst) === true)
      );
    }),
    parse: (text) => {
      const match = /^([0-9]+(?:\.[0-9]+)?)\/([smh])(?:\s*;\s*burst=([0-9]{1,16}))?$/.exec(text);
      if (match === null) return undefined;
      const perSecond = Number(match[1]) / (perSecondOf[match[2] as string] as number);
      return match[3] === undefined ? { perSecond } : { perSecond, burst: Number(match[3]) };
    },
    complete: (given) => ({ perSecond: given.perSecond, burst: burstOf(given) }),
    format: ({ perSecond, burst }) => `${perSecond}/s${burst === undefined ? '' : `;burst=${burst}`}`,
  };
}

const replyRule: Check = check('an object such as { status: 200, body: "[]" }', (value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { status = 200, headers = {}, body = null } = value as FallbackReply;
  const plain = body === null || typeof body === 'string' || body instanceof Uint8Array;
  return plain && Number.isInteger(status) && status >= 200 && status <= 599 && Object(headers) === headers;
});

/** A reply that needs nobody to make it: a status, and after a space the body, as in `200 {"items":[]}`. */
export function staticReply(): ValueKind<FallbackReply> {
  return {
    kind: 'status and body',
    expected: 'a status from 200 to 599 and, after a space, the body, such as 200 {"items":[]}',
    example: '200 {"items":[]}',
    parts: { status: checks.any(), headers: checks.any(), body: checks.any() },
    check: replyRule,
    parse: (text) => {
      const match = /^([0-9]{3})(?:\s+(.+))?$/s.exec(text);
      if (match === null) return undefined;
      const status = Number(match[1]);
      const body = match[2];
      return body === undefined ? { status } : { status, headers: { 'content-type': contentTypeOf(body) }, body };
    },
    format: ({ status = 200, body }) => (typeof body === 'string' ? `${status} ${body}` : String(status)),
  };
}

function contentTypeOf(body: string): string {
  try {
    JSON.parse(body);
    return 'application/json';
  } catch {
    return 'text/plain; charset=utf-8';
  }
}

/** Where the endpoints of a service come from: a URL whose scheme names the source, a list of origins, or a resolver. */
export type Source = string | readonly string[] | Resolver;

const scheme = /^(?:file:|unix:\/|[a-z][a-z0-9+.-]*:\/\/)./i;

/** Whether `text` is written like a source; no option is. */
export function looksLikeSource(text: string): boolean {
  return scheme.test(text);
}

/**
 * A source of endpoints. Only its form is checked here: which schemes there are is known to those who make resolvers.
 * Origins with commas between them are a list; any other comma belongs to the source, as does everything with a `|`.
 */
export function source(): ValueKind<Source> {
  return {
    kind: 'source',
    expected: 'a source such as http://10.0.0.5:8080, a list of such with commas, or dns://payments:8080',
    example: 'dns://payments:8080',
    check: check('a source such as dns://payments:8080, a list of origins, or a resolver', (value) => {
      if (typeof value === 'string') return value !== '';
      if (Array.isArray(value))
        return value.length > 0 && value.every((item) => typeof item === 'string' && item !== '');
      return typeof (Object(value) as Partial<Resolver>).watch === 'function';
    }),
    parse: (text) => {
      const items = splitList(text);
      const origins = items.length > 1 && items.every((item) => /^https?:\/\/[^|]*$/i.test(item));
      return origins ? [...new Set(items)] : text;
    },
    format: (value) =>
      typeof value === 'string' ? value : Array.isArray(value) ? value.join(',') : (value as Resolver).name,
  };
}
