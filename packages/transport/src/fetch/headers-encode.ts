/**
 * @module From what fetch takes as headers to what a call carries: a flat list, names in lower case. A plain object, the
 * usual form, is checked and copied without a `Headers` in between; whatever is out of the ordinary goes through `Headers`.
 */
import { type HeaderPairs, headerOf } from '@fairlead/core';

/** Whatever `fetch` accepts as headers. */
export type HeadersInput = ConstructorParameters<typeof Headers>[0] | null;

/** Sent with every request that does not say otherwise. Fixed, and one object, since most calls have no headers. */
export const defaultHeaders: HeaderPairs = Object.freeze([
  'accept',
  '*/*',
  'accept-encoding',
  'gzip, deflate, br',
  'user-agent',
  'fairlead',
]);

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Latin-1 without control characters, and without blanks around it, which would have to be cut off. */
const plainValue = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** Names that were valid, with their lower case. Callers use few; the bound is for those who make them up. */
const names: Map<string, string> = new Map();
const maxNames = 1_000;

/**
 * Encodes `input`, with `contentType` unless it names one itself.
 * @throws TypeError for a name that is no token, and a value with line breaks, NUL, or characters beyond Latin-1
 */
export function encodeHeaders(input: HeadersInput | undefined, contentType: string | null): HeaderPairs {
  if (input == null && contentType === null) return defaultHeaders;
  const pairs = input == null ? [] : (fromRecord(input) ?? fromHeaders(new Headers(input)));
  if (contentType !== null && headerOf(pairs, 'content-type') === undefined) pairs.push('content-type', contentType);
  if (headerOf(pairs, 'range') !== undefined) acceptUncoded(pairs);
  for (let i = 0; i < defaultHeaders.length; i += 2) {
    const name = defaultHeaders[i] as string;
    if (headerOf(pairs, name) === undefined) pairs.push(name, defaultHeaders[i + 1] as string);
  }
  return pairs;
}

/** A range of a coded body is of no use to anybody. The standard adds it to what the caller accepts. */
function acceptUncoded(pairs: string[]): void {
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i] !== 'accept-encoding') continue;
    pairs[i + 1] = `${pairs[i + 1]}, identity`;
    return;
  }
  pairs.push('accept-encoding', 'identity');
}

/** The pairs of a plain object; null if `input` is something else, or anything about it is not plain. */
function fromRecord(input: object): string[] | null {
  if (typeof input !== 'object' || Symbol.iterator in input) return null;
  const pairs: string[] = [];
  // Keys differ, so names can be the same only where one of them was in upper case.
  let folded = false;
  for (const key of Object.keys(input)) {
    const name = names.get(key) ?? lowerName(key);
    folded ||= name !== key;
    const value: unknown = (input as Record<string, unknown>)[key];
    if (name === null || typeof value !== 'string' || !plainValue.test(value)) return null;
    if (folded && headerOf(pairs, name) !== undefined) return null;
    pairs.push(name, value);
  }
  return pairs;
}

function lowerName(name: string): string | null {
  if (!token.test(name)) return null;
  const lower = name.toLowerCase();
  if (names.size < maxNames) names.set(name, lower);
  return lower;
}

function fromHeaders(headers: Headers): string[] {
  const pairs: string[] = [];
  for (const [name, value] of headers) pairs.push(name, value);
  return pairs;
}
