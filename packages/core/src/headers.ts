/**
 * @module Request headers as a flat list of names and values, the form in which undici sends them without another copy.
 * Names are lower case, so a look-up is a comparison of strings.
 */

/** `[name, value, name, value, …]`, names in lower case. Never changed once it hangs on a call. */
export type HeaderPairs = readonly string[];

/** No headers. */
export const noHeaders: HeaderPairs = Object.freeze([]);

/** Headers that speak of one connection and must not be carried to another (RFC 9110, 7.6.1). */
export const hopByHopHeaders: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The value of `name` (lower case), the first if there are several; undefined if there is none. */
export function headerOf(pairs: HeaderPairs, name: string): string | undefined {
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1];
  return undefined;
}

/** `pairs` with `name` (lower case) set to `value`, in place of every earlier value. */
export function withHeader(pairs: HeaderPairs, name: string, value: string): HeaderPairs {
  return [...withoutHeader(pairs, name), name, value];
}

/** `pairs` without `name` (lower case); the same list if it was not there. */
export function withoutHeader(pairs: HeaderPairs, name: string): HeaderPairs {
  if (headerOf(pairs, name) === undefined) return pairs;
  const kept: string[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i] !== name) kept.push(pairs[i] as string, pairs[i + 1] as string);
  }
  return kept;
}
