/** @module Parsed headers as undici's `rawHeaders`, for a reply that did not come from undici. */
import type { ReplyHeaders } from '@fairlead/core';

/** Names and values in turn, each in Latin-1. */
export function rawPairs(headers: ReplyHeaders): Buffer[] {
  const raw: Buffer[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) {
      raw.push(Buffer.from(name, 'latin1'), Buffer.from(each, 'latin1'));
    }
  }
  return raw;
}
