/**
 * Catches a URL whose plain form is read differently from how `URL` reads it, and a path that leaves the service it seems
 * to belong to.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOriginForm, parseTarget, pathWithin } from './target.js';

describe('parseTarget', () => {
  it('says what URL says, for whatever looks like a URL', () => {
    const piece = fc.constantFrom(
      ...[
        'payments',
        'a',
        'b-c',
        'x--y',
        'xn--a',
        '127',
        '0x7f',
        '1',
        '.',
        '..',
        '/',
        '//',
        '\\',
        ':',
        '@',
        '%2e',
        '%2E',
        '%41',
      ],
      ...[
        '?',
        '#',
        '&',
        '=',
        '~',
        '_',
        "'",
        '"',
        ' ',
        '\t',
        '\n',
        'é',
        '|',
        '^',
        '[',
        ']',
        'A',
        ':80',
        ':8080',
        '%',
        '+',
        ';',
      ],
    );
    const url = fc
      .tuple(
        fc.constantFrom('http://', 'https://', 'HTTP://', 'http:', 'http:/', ''),
        fc.array(piece, { maxLength: 8 }),
      )
      .map(([scheme, pieces]) => scheme + pieces.join(''));
    fc.assert(
      fc.property(url, (text) => {
        const parsed = URL.parse(text);
        const http = /^https?:$/.test(parsed?.protocol ?? '');
        if (parsed === null || (http && parsed.username + parsed.password !== '')) {
          expect(() => parseTarget(text)).toThrow(TypeError);
          return;
        }
        if (!http) {
          expect(parseTarget(text)).toBeNull();
          return;
        }
        const href = parsed.href.replace(/#.*$/, '');
        expect(parseTarget(text)).toEqual({ host: parsed.host, path: href.slice(parsed.origin.length), href });
      }),
      { numRuns: 5_000 },
    );
  });

  it.each(['data:text/plain,x', 'ftp://payments/', 'blob:nodedata:x', 'file:///etc/passwd', 'javascript:1'])(
    'has no target for %s',
    (url) => expect(parseTarget(url)).toBeNull(),
  );

  it.each([
    ['http://127.1/', '127.0.0.1'],
    ['http://2130706433/', '127.0.0.1'],
    ['http://0x7f.1/', '127.0.0.1'],
    ['http://a.0x7f/', null],
    ['http://PAYMENTS/', 'payments'],
    ['http://payments:80/', 'payments'],
    ['https://payments:443/', 'payments'],
    ['http://payments:8080/', 'payments:8080'],
    ['http://[::1]:1/', '[::1]:1'],
  ])('reads the host of %s', (url, host) => {
    if (host === null) expect(() => parseTarget(url)).toThrow(TypeError);
    else expect(parseTarget(url)?.host).toBe(host);
  });

  it.each([
    '//evil.test/x',
    '/\\evil.test/x',
    '@evil.test/',
    ':80@evil.test/',
    '.evil.test/',
    '\t//evil.test',
    '/..//evil.test',
  ])('a service with %j behind its name leads nowhere else', (hostile) => {
    let target: ReturnType<typeof parseTarget> = null;
    try {
      target = parseTarget(`http://payments${hostile}`);
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError);
      return;
    }
    // Either it is another host, which is then looked up as such, or its path is refused.
    if (target?.host === 'payments') expect(isOriginForm(target.path)).toBe(false);
    else expect(target?.host).toBe('payments.evil.test');
  });
});

describe('pathWithin', () => {
  it.each([
    ['/', '/'],
    ['/a?b=c', '/a?b=c'],
    ['/a/../b', '/b'],
    ['/a b', '/a%20b'],
    ['/ä#x', '/%C3%A4'],
    ['/a//b', '/a//b'],
    ['/%2f/evil', '/%2f/evil'],
    ['/@evil.test', '/@evil.test'],
    ['/http://evil.test', '/http://evil.test'],
  ])('takes %j for %j', (path, expected) => expect(pathWithin(path)).toBe(expected));

  it.each([
    ...[
      '//evil.test/x',
      '///evil',
      '/\\evil',
      '\\\\evil',
      '/\t/evil',
      '/\n\\evil',
      '\t//evil',
      'http://evil',
      'https:/evil',
    ],
    ...[
      'http:evil',
      '@evil.test/',
      ':80@evil.test/',
      '/..//evil.test',
      '/.//evil',
      '/a/..//evil',
      '/%2e%2e//evil',
      '',
      'evil',
      '?x',
    ],
    ...['/\r/evil', '/\t\t\\evil', ' /x'],
  ])('refuses %j', (path) => expect(() => pathWithin(path)).toThrow(TypeError));

  it('never leaves its origin, whatever it is given', () => {
    const piece = fc.constantFrom(
      '/',
      '\\',
      '.',
      '..',
      '%2e',
      '@',
      ':',
      '\t',
      '\n',
      'evil.test',
      '//',
      '?',
      '#',
      'http:',
      ' ',
      'a',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        let path: string;
        try {
          path = pathWithin(pieces.join(''));
        } catch {
          return;
        }
        // However often it is resolved, against the service or as text behind its name.
        expect(new URL(path, 'http://payments').host).toBe('payments');
        expect(new URL(`http://payments${path}`).host).toBe('payments');
      }),
      { numRuns: 5_000 },
    );
  });
});
