/** Would catch: a header that is found by its value, set twice, or changed on a list that another call shares. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { headerOf, noHeaders, withHeader, withoutHeader } from './headers.js';

const pairs = Object.freeze(['a', 'b', 'x', '1', 'b', 'a', 'x', '2']);

describe('headers', () => {
  it('finds the first value by name', () => {
    expect(['a', 'b', 'x', '1', 'c'].map((name) => headerOf(pairs, name))).toEqual([
      'b',
      'a',
      '1',
      undefined,
      undefined,
    ]);
    expect(headerOf(noHeaders, 'a')).toBeUndefined();
  });

  it('sets in place of every earlier value, on a copy', () => {
    expect(withHeader(pairs, 'x', '3')).toEqual(['a', 'b', 'b', 'a', 'x', '3']);
    expect(withHeader(noHeaders, 'x', '3')).toEqual(['x', '3']);
    expect(noHeaders).toEqual([]);
  });

  it('takes away, and copies only if it must', () => {
    expect(withoutHeader(pairs, 'x')).toEqual(['a', 'b', 'b', 'a']);
    expect(withoutHeader(pairs, '1')).toBe(pairs);
  });

  it('has exactly what was set last, and all the rest in order', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const list = fc.array(fc.tuple(name, fc.string()), { maxLength: 10 });
    fc.assert(
      fc.property(list, name, fc.string(), (given, key, value) => {
        const set = withHeader(given.flat(), key, value);
        const expected = [...given.filter(([each]) => each !== key), [key, value]].flat();
        expect(set).toEqual(expected);
      }),
    );
  });
});
