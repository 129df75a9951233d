/** @module Request headers as Node has parsed them, in the form that a call carries. */
import { type HeaderPairs, noHeaders } from '@fairlead/core';

/** `raw` (`[Name, value, …]`, as in `request.rawHeaders`) with its names in lower case. */
export function headerPairs(raw: readonly string[]): HeaderPairs {
  const length = raw.length;
  if (length === 0) return noHeaders;
  const pairs = new Array<string>(length);
  for (let i = 0; i < length; i += 2) {
    // A string that is in lower case already comes back as it is, without a copy.
    pairs[i] = (raw[i] as string).toLowerCase();
    pairs[i + 1] = raw[i + 1] as string;
  }
  return pairs;
}
