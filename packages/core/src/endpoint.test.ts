/** Would catch: an address that is no origin, or a weight that would upset every picker. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEndpoint } from './endpoint.js';
import { ConfigError } from './errors.js';

describe('createEndpoint', () => {
  it('normalizes the origin and fills in the rest, and is never changed', () => {
    const endpoint = createEndpoint('HTTP://Example.COM:80/');
    expect(endpoint).toEqual({
      id: 'http://example.com',
      origin: 'http://example.com',
      weight: 1,
      zone: null,
      priority: 0,
      attributes: {},
    });
    expect(Object.isFrozen(endpoint)).toBe(true);
    const rest = { id: 'i', weight: 0.5, zone: 'z', priority: 2, attributes: { a: 1 } };
    expect(createEndpoint('https://[::1]:8443', rest)).toEqual({ origin: 'https://[::1]:8443', ...rest });
  });

  it.each([
    ['unix:/run/payments.sock', 'unix:/run/payments.sock'],
    ['unix:///run/payments.sock', 'unix:/run/payments.sock'],
    ['UNIX:/run/Pay ments.sock?#@%2F', 'unix:/run/Pay ments.sock?#@%2F'],
    ['http+unix://%2Frun%2Fpayments.sock', 'unix:/run/payments.sock'],
    ['http+unix://%2frun%2Fa%2Cb.sock/', 'unix:/run/a,b.sock'],
  ])('takes the Unix socket %j', (origin, normal) => {
    expect(createEndpoint(origin)).toMatchObject({ id: normal, origin: normal });
    expect(createEndpoint(normal).origin).toBe(normal);
  });

  it.each([
    'unix:',
    'unix:/',
    'unix:run/payments.sock',
    'unix:./payments.sock',
    'unix://run/payments.sock',
    'unix:////run/payments.sock',
    'unix:/run/',
    'unix:/run/a\0b',
    'https+unix://%2Frun%2Fa.sock',
    'http+unix:///run/a.sock',
    'http+unix://%2Frun%2Fa.sock/path',
    'http+unix://run%2Fa.sock',
    'http+unix://%2Frun%2Fa%ZZ',
    'http+unix://%2Frun%2Fa%00b',
    'http+unix://user@%2Frun%2Fa.sock',
    'a:1',
    '10.0.0.5:8080',
    '',
    'http://',
    'http://a:1/path',
    'http://a:1?q',
    'http://a:1#h',
    'http://user:pw@a:1',
    'ftp://a',
    'http://a:99999',
  ])('refuses %j', (origin) => {
    expect(() => createEndpoint(origin)).toThrow(ConfigError);
  });

  it('shows no credentials in its errors', () => {
    expect(() => createEndpoint('http://user:pw@a:1')).toThrow(/\/\/\*\*\*@a:1/);
    expect(() => createEndpoint('http://user:pw@a:1')).not.toThrow(/pw/);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses weight %d', (weight) => {
    expect(() => createEndpoint('http://a:1', { weight })).toThrow(`weight of http://a:1 = ${weight}`);
  });
});

describe('an origin of an IPv4 address', () => {
  const octet = fc.oneof(fc.nat(300), fc.constantFrom('00', '01', '007', '0x7', ''));
  const port = fc.oneof(fc.nat(70_000), fc.constantFrom(0, 1, 80, 443, 59_999, 60_000, 65_535, 65_536, '080', ''));
  const origins = fc
    .tuple(fc.constantFrom('http', 'https', 'HTTP', 'ftp'), fc.array(octet, { minLength: 3, maxLength: 5 }), port)
    .map(([scheme, octets, number]) => `${scheme}://${octets.join('.')}:${number}`);

  it('is what URL makes of it, whether or not it has to be asked', () => {
    fc.assert(
      fc.property(origins, (text) => {
        const url = URL.canParse(text) ? new URL(text) : null;
        if (url === null || !/^https?:$/.test(url.protocol)) expect(() => createEndpoint(text)).toThrow();
        else expect(createEndpoint(text).origin).toBe(url.origin);
      }),
      {
        numRuns: 2_000,
        examples: [
          ['http://10.0.0.5:8080'],
          ['http://10.0.0.5:80'],
          ['https://10.0.0.5:443'],
          ['http://10.0.0:8080'],
          ['http://10.0.0.256:8080'],
        ],
      },
    );
  });
});
