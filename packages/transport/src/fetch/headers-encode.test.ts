/** Catches headers that are checked, normalised or combined otherwise than `Headers` does, and a default that overrides. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultHeaders, encodeHeaders } from './headers-encode.js';

/** Pairs in the order of `Headers`, without the defaults that were not asked for. */
function sorted(pairs: readonly string[], without: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    if (!without.includes(pairs[i] as string)) list.push([pairs[i] as string, pairs[i + 1] as string]);
  }
  return list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

describe('encodeHeaders', () => {
  it('does what Headers does, for objects and pairs', () => {
    const name = fc.oneof(
      fc.constantFrom('A', 'a', 'Content-Type', 'content-type', 'x-1', 'Accept', 'set-cookie', 'Cookie'),
      fc.constantFrom('', ' a', 'a b', 'é', 'a:b', 'constructor', 'toString'),
    );
    const value = fc.oneof(
      fc.constantFrom('1', ' 1 ', '', '\t', 'a\tb', 'é', '€', 'a\0b', 'a\r\nb', 'a\x7fb', '\n1\n'),
      fc.string(),
    );
    const pairs = fc.array(fc.tuple(name, value), { maxLength: 4 });
    fc.assert(
      fc.property(pairs, fc.boolean(), (given, asPairs) => {
        const input = asPairs ? given : Object.fromEntries(given);
        let expected: [string, string][];
        try {
          expected = [...new Headers(input)];
        } catch {
          expect(() => encodeHeaders(input, null)).toThrow(TypeError);
          return;
        }
        const named = expected.map(([each]) => each);
        const added = ['accept', 'accept-encoding', 'user-agent'].filter((each) => !named.includes(each));
        expect(sorted(encodeHeaders(input, null), added)).toEqual(expected);
      }),
      { numRuns: 3_000 },
    );
  });

  it('takes a name like any other that Node loses in an object', () => {
    expect(encodeHeaders(JSON.parse('{"__proto__":"1"}'), null).slice(0, 2)).toEqual(['__proto__', '1']);
  });

  it('adds what is missing, and nothing else', () => {
    expect(encodeHeaders(undefined, null)).toBe(defaultHeaders);
    expect(encodeHeaders(null, 'x/y')).toEqual(['content-type', 'x/y', ...defaultHeaders]);
    expect(encodeHeaders({ 'Content-Type': 'a/b', ACCEPT: 'c/d', 'user-agent': 'me' }, 'x/y')).toEqual([
      ...['content-type', 'a/b', 'accept', 'c/d', 'user-agent', 'me'],
      ...['accept-encoding', 'gzip, deflate, br'],
    ]);
  });

  it('asks for no coding where it asks for a range, unless told to', () => {
    expect(encodeHeaders({ range: 'bytes=0-1' }, null).slice(2, 4)).toEqual(['accept-encoding', 'identity']);
    const both = { range: 'bytes=0-1', 'accept-encoding': 'br' };
    expect(encodeHeaders(both, null).filter((each) => each === 'accept-encoding')).toHaveLength(1);
  });

  it('takes any number of different names', () => {
    for (let i = 0; i < 3_000; i++)
      expect(encodeHeaders({ [`X-${i}`]: '1' }, null).slice(0, 2)).toEqual([`x-${i}`, '1']);
  });
});
