/** Would catch: names that a layer does not find because somebody wrote them in another case, and a list that was copied in vain. */
import { describe, expect, it } from 'vitest';
import { headerPairs } from './header-pairs.js';

describe('headerPairs', () => {
  it.each([
    [
      ['Host', 'A', 'accept', 'B'],
      ['host', 'A', 'accept', 'B'],
    ],
    [
      ['host', 'A', 'X-Last', 'B'],
      ['host', 'A', 'x-last', 'B'],
    ],
    [[], []],
  ])('has names in lower case and values as they are: %j', (raw, pairs) => {
    const before = [...raw];
    expect(headerPairs(raw)).toEqual(pairs);
    expect(raw).toEqual(before);
  });

  it('is the list itself where there is nothing to change', () => {
    const raw = ['host', 'A', 'x-first', 'B'];
    expect(headerPairs(raw)).toBe(raw);
  });
});
