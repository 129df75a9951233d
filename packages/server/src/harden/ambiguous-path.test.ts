/** Would catch a path that a policy and a handler read differently, and one that is refused although it can be read one way. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAmbiguousPath } from './ambiguous-path.js';

describe('isAmbiguousPath', () => {
  it.each([
    '/a%2fb',
    '/a%2Fb',
    '/a%5cb',
    '/a\\b',
    '/a/../b',
    '/a/./b',
    '/..',
    '/.',
    '/a/..?x=1',
    '/%2e%2e/b',
    '/.%2E/b',
    '/a/%2e',
    '/a%00b',
    '/a%0d%0ab',
    '/a\0b',
    '/a%7fb',
    '/a#/b',
    '/a%zz',
    '/a%',
    '/a%2',
    '/a%c0%afb',
    'http://host/a/../b',
    'http://host/..',
  ])('%j is', (target) => {
    expect(isAmbiguousPath(target)).toBe(true);
  });

  it.each([
    '/',
    '',
    '*',
    '/a/b',
    '/a/b/',
    '//a',
    '/a.b/.well-known/x..y/...',
    '/a/..b/b..',
    '/caf%C3%A9/%20',
    '/a?next=/b/../c%2f#d',
    "/a;b=1,c@d:e!$&'()*+",
    'http://host/a/b',
    'https://host',
  ])('%j is not', (target) => {
    expect(isAmbiguousPath(target)).toBe(false);
  });

  it('holds for every path that a URL parser would change, and finds one in no path of plain names', () => {
    const segment = fc.constantFrom('a', '..', '.', '%2e', '%2E.', '.%2e', 'b.c', '%41', 'd%20e', '...');
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), (segments) => {
        const path = `/${segments.join('/')}`;
        return isAmbiguousPath(path) === (new URL(path, 'http://x').pathname !== path);
      }),
      { numRuns: 500 },
    );
  });
});
