/** Catches: a secret that stands in an error. */
import { describe, expect, it } from 'vitest';
import { isSecretName, redact } from './redaction.js';

describe('redact', () => {
  it.each([
    ['http://user:hunter2@host:80/path', 'http://(redacted)@host:80/path'],
    ['consul://hunter2@host', 'consul://(redacted)@host'],
    ['http://a:1,https://u:hunter2@b', 'http://a:1,https://(redacted)@b'],
    ['http://u:hunt/er2@b', 'http://(redacted)@b'],
    ['http://u:hunt@er2@b', 'http://(redacted)@b'],
    ['user:hunter2@host:80', '(redacted)@host:80'],
    ['consul://host/x?dc=a&token=hunter2&tag=b', 'consul://host/x?dc=a&token=(redacted)&tag=b'],
    ['x?api_key=hunter2', 'x?api_key=(redacted)'],
    ['5 sec', '5 sec'],
    ['http://host:80/path?a=b', 'http://host:80/path?a=b'],
  ])('shows %s as %s', (given, shown) => {
    expect(redact(given, false)).toBe(shown);
    expect(redact([given], false)).toEqual([shown]);
  });

  it('shows nothing of what is secret itself', () => {
    expect(redact('hunter2', true)).toBe('(redacted)');
    expect(redact({ a: 1 }, true)).toBe('(redacted)');
    expect(redact(undefined, true)).toBeUndefined();
  });

  it('goes through objects, not without end', () => {
    expect(redact({ password: 'hunter2', url: 'http://u:hunter2@h', n: 1 }, false)).toEqual({
      password: '(redacted)',
      url: 'http://(redacted)@h',
      n: 1,
    });
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect(JSON.stringify(redact(circle, false))).toContain('…');
  });
});

it('secrets are known by their names', () => {
  for (const name of ['CONSUL_TOKEN', 'API_KEY', 'dbPassword', 'CLIENT_SECRET']) expect(isSecretName(name)).toBe(true);
  for (const name of ['TIMEOUT', 'FAIRLEAD_NAME']) expect(isSecretName(name)).toBe(false);
});
