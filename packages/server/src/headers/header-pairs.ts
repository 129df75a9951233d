/** @module Request headers as Node has parsed them, in the form that a call carries. */
import { type HeaderPairs, noHeaders } from '@fairlead/core';

/** `raw` (`[Name, value, …]`, as in `request.rawHeaders`) with its names in lower case; itself, if they are. */
export function headerPairs(raw: readonly string[]): HeaderPairs {
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    // A string that is in lower case already comes back as it is, without a copy. Services mostly send it so.
    if (name.toLowerCase() !== name) return lowered(raw);
  }
  return raw.length === 0 ? noHeaders : raw;
}

function lowered(raw: readonly string[]): HeaderPairs {
  const pairs = new Array<string>(raw.length);
  for (let i = 0; i < raw.length; i += 2) {
    pairs[i] = (raw[i] as string).toLowerCase();
    pairs[i + 1] = raw[i + 1] as string;
  }
  return pairs;
}
