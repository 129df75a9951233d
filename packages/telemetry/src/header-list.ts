/** @module Headers whose value is a comma-separated list and that may come several times (RFC 9110, 5.3 and 5.6.1). */
import type { HeaderPairs } from '@fairlead/core';

/**
 * All values of `name` (lower case) in the order in which they came, joined with a comma; null if there is none. Values
 * that are empty add nothing.
 */
export function joinedHeader(headers: HeaderPairs, name: string): string | null {
  let joined: string | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    const value = headers[i + 1] as string;
    joined = joined === null || joined === '' ? value : value === '' ? joined : `${joined},${value}`;
  }
  return joined;
}

/**
 * `text` from `start` to `end` without optional whitespace (space and tab, RFC 9110, 5.6.3) around it. `String.trim` takes
 * away more than that, a no-break space for one; a regular expression that is anchored at the end takes quadratic time.
 */
export function trimOws(text: string, start = 0, end: number = text.length): string {
  while (start < end && isOws(text.charCodeAt(start))) start++;
  while (end > start && isOws(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
