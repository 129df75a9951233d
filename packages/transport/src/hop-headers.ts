/**
 * @module Headers that belong to one connection and not to the message (RFC 9110, 7.6.1). The connection is ours, so a
 * caller's wishes about it are dropped rather than refused: an inbound request's headers are often handed on whole.
 */
import { type HeaderPairs, hopByHopHeaders } from '@fairlead/core';

/** `expect` is a question of one hop, too: a server of ours answers it, and undici refuses to send it. */
const hopByHop: ReadonlySet<string> = new Set([...hopByHopHeaders, 'expect']);

/**
 * `pairs` without the headers of the caller's own hop, those that its `connection` header names included; the same list
 * if there are none, which is the usual case and allocates nothing.
 */
export function withoutHopHeaders(pairs: HeaderPairs): HeaderPairs {
  for (let i = 0; i < pairs.length; i += 2) if (hopByHop.has(pairs[i] as string)) return drop(pairs);
  return pairs;
}

function drop(pairs: HeaderPairs): HeaderPairs {
  const named = new Set<string>();
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i] !== 'connection') continue;
    for (const token of (pairs[i + 1] as string).split(',')) named.add(token.trim().toLowerCase());
  }
  const kept: string[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string;
    if (!hopByHop.has(name) && !named.has(name)) kept.push(name, pairs[i + 1] as string);
  }
  return kept;
}
