// Catches: a source that is read as another one than it says, a token that is shown, variables of Consul that are misread.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { consulAccess } from './consul-access.js';
import { parseConsul } from './consul-target.js';

describe('parseConsul', () => {
  it.each([
    ['consul://payments', { server: null, options: { service: 'payments' } }],
    ['consul://10.0.0.1:8500/payments', { server: '10.0.0.1:8500', options: { service: 'payments' } }],
    ['consul://[::1]:8500/payments/', { server: '[::1]:8500', options: { service: 'payments' } }],
    ['consul://a%20b?dc=eu&ns=x&partition=y', { options: { service: 'a b', datacenter: 'eu', namespace: 'x' } }],
    ['consul://a?tag=v2&tag=b&filter=x%3D%3D1', { options: { tags: ['v2', 'b'], filter: 'x==1' } }],
    ['consul://a?passing=false&stale', { options: { passing: false, consistency: 'stale' } }],
    ['consul://a?passing=true&consistent=true', { options: { passing: true, consistency: 'consistent' } }],
    ['consul://a?stale=false', { options: { service: 'a' } }],
    [
      'consul://a?address=wan&zone=az&protocol=https',
      { options: { address: 'wan', zoneMeta: 'az', protocol: 'https' } },
    ],
  ])('reads %s', (text, expected) => {
    expect(parseConsul(text)).toMatchObject(expected);
  });

  it.each([
    ['consul://', 'consul://host:port/service'],
    ['consul://a/b/c', 'consul://host:port/service'],
    ['consul://user:secret@a/b', 'consul://host:port/service'],
    ['consul://a?datacenter=eu', 'expected one of dc'],
    ['consul://a?tags=eu', 'did you mean tag?'],
    ['consul://a?token=secret', 'CONSUL_HTTP_TOKEN'],
    ['consul://a%zz', 'expected a name'],
    ['consul://a?constructor=1', 'expected one of dc'],
  ])('refuses %s', (text, message) => {
    expect(() => parseConsul(text)).toThrow(message);
    expect(() => parseConsul(text)).not.toThrow(/secret/);
  });
});

describe('consulAccess', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'consul-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  it.each([
    [{}, 'http://127.0.0.1:8500'],
    [{ CONSUL_HTTP_ADDR: '' }, 'http://127.0.0.1:8500'],
    [{ CONSUL_HTTP_ADDR: 'consul.local:85' }, 'http://consul.local:85'],
    [{ CONSUL_HTTP_ADDR: 'consul.local:8501', CONSUL_HTTP_SSL: 'true' }, 'https://consul.local:8501'],
    [{ CONSUL_HTTP_ADDR: 'https://consul.local:8501' }, 'https://consul.local:8501'],
    [{ CONSUL_HTTP_ADDR: 'unix:///run/consul.sock' }, 'unix:/run/consul.sock'],
  ])('finds the agent by %j', (env, origin) => {
    expect(consulAccess({ env }).server.origin).toBe(origin);
  });

  it('takes an address that is given, with the rest of the variables', async () => {
    const env = { CONSUL_HTTP_ADDR: 'a:1', CONSUL_HTTP_SSL: '1', CONSUL_HTTP_TOKEN: 't', CONSUL_NAMESPACE: 'n' };
    const access = consulAccess({ env, address: '10.0.0.1:8501' });
    expect(access.server.origin).toBe('https://10.0.0.1:8501');
    expect([await access.token(), access.namespace, access.partition, access.tls]).toEqual(['t', 'n', null, null]);
  });

  it('reads the token file anew each time, and prefers it', async () => {
    const path = file('token', 'first\n');
    const access = consulAccess({ env: { CONSUL_HTTP_TOKEN_FILE: path, CONSUL_HTTP_TOKEN: 'other' } });
    expect(await access.token()).toBe('first');
    file('token', 'second');
    expect(await access.token()).toBe('second');
  });

  it('reads certificates', () => {
    const pem = '-----BEGIN CERTIFICATE-----\nx\n';
    const env = { CONSUL_CACERT: file('ca.pem', pem), CONSUL_CLIENT_CERT: file('c.pem', pem) };
    expect(consulAccess({ env }).tls).toEqual({ ca: pem, cert: pem });
  });

  it('reads every certificate of a folder where no file is named, and whose name it is', () => {
    const pem = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n`;
    file('a.pem', pem('a'));
    file('b.crt', pem('b'));
    file('.hidden', pem('hidden'));
    mkdirSync(join(folder, 'deeper'));
    const env = { CONSUL_CAPATH: folder, CONSUL_TLS_SERVER_NAME: 'server.dc1.consul' };
    expect(consulAccess({ env }).tls).toEqual({ ca: `${pem('a')}\n${pem('b')}`, servername: 'server.dc1.consul' });
    const one = { ...env, CONSUL_CACERT: join(folder, 'b.crt'), CONSUL_TLS_SERVER_NAME: '' };
    expect(consulAccess({ env: one }).tls).toEqual({ ca: pem('b') });
    expect(() => consulAccess({ env: { CONSUL_CAPATH: join(folder, 'deeper') } })).toThrow(/CONSUL_CAPATH.*PEM/);
  });

  it.each([
    ['user:pass word', 'user:pass word'],
    ['user', 'user:'],
  ])('sends who it is to a proxy that asks for %s', (given, sent) => {
    const { authorization } = consulAccess({ env: { CONSUL_HTTP_AUTH: given } });
    expect(authorization).toBe(`Basic ${Buffer.from(sent).toString('base64')}`);
    expect(consulAccess({ env: {} }).authorization).toBeNull();
  });

  it('does not talk to somebody who may not be Consul, and says what to do', () => {
    for (const value of ['false', '0', 'F']) {
      expect(() => consulAccess({ env: { CONSUL_HTTP_SSL_VERIFY: value } })).toThrow(/SSL_VERIFY.*CONSUL_CACERT/);
    }
    expect(consulAccess({ env: { CONSUL_HTTP_SSL_VERIFY: 'true' } }).tls).toBeNull();
    expect(() => consulAccess({ env: { CONSUL_HTTP_AUTH: 'hush\n' } })).toThrow(/CONSUL_HTTP_AUTH(?!.*hush)/);
  });

  it('lists everything that is wrong, without the token', () => {
    const env = {
      CONSUL_HTTP_ADDR: 'http://a/path',
      CONSUL_HTTP_TOKEN: 'sec ret',
      CONSUL_CACERT: join(folder, 'none.pem'),
      CONSUL_CLIENT_KEY: file('key.pem', 'nothing'),
    };
    expect(() => consulAccess({ env })).toThrow(
      /4 problems[\s\S]*CONSUL_HTTP_ADDR[\s\S]*CONSUL_CACERT[\s\S]*CONSUL_CLIENT_KEY[\s\S]*CONSUL_HTTP_TOKEN/,
    );
    expect(() => consulAccess({ env })).not.toThrow(/sec ret/);
    expect(() => consulAccess({ env: { CONSUL_HTTP_TOKEN_FILE: join(folder, 'none') } })).toThrow('ENOENT');
  });
});
