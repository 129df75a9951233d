/**
 * @module Paths that two readers can take for different ones. A policy that matches on the path and a handler behind it,
 * or a proxy in front, have to mean the same resource, and they do not if one of them decodes or resolves more than the other.
 */

/**
 * What no honest client sends in a path: an encoded slash or backslash, a backslash, NUL and other control characters in
 * either form, a fragment, a percent sign that encodes nothing, and an overlong form (RFC 3629, 3) of an ASCII character.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const odd = /[\\#\x00-\x20\x7f]|%(?:2[fF]|5[cC]|[cC][01]|[01][0-9a-fA-F]|7[fF]|(?![0-9a-fA-F]{2}))/;
/** A segment of one or two dots, encoded or not (RFC 3986, 5.2.4 would remove it, and what stands before two). */
const dots = /(?:^|\/)(?:\.|%2[eE]){1,2}(?:$|\/)/;

/**
 * Whether the path of a request target could be read in more than one way: encoded slashes, dot segments, NUL and the like.
 * What follows the first `?` does not matter, nor does the origin of a target in absolute form.
 */
export function isAmbiguousPath(target: string): boolean {
  // Nearly every path is settled here, by one look at each character.
  if (plain.test(target)) return false;
  const query = target.indexOf('?');
  const whole = query === -1 ? target : target.slice(0, query);
  const path = whole.replace(/^https?:\/\/[^/]*/i, '');
  return odd.test(path) || dots.test(path);
}

/** Slashes with names behind them that begin with no dot, and whatever query. */
const plain = /^(?:\/[\w~-][\w.~-]*)*\/?(?:\?|$)/;
