/**
 * Would catch: a process that starts half-configured, a token that is kept after the kubelet has replaced it, a token in
 * an error message, an address that is put together wrongly.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, systemClock } from '@fairlead/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inCluster } from './in-cluster.js';

const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-access-'));
  write({ token: 'first\n', 'ca.crt': pem, namespace: 'prod\n' });
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

function problems(given: Record<string, string | undefined> = env): string[] {
  try {
    inCluster({ env: given, folder });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ name }) => name.replace(`${folder}/`, ''));
  }
  return [];
}

describe('inCluster', () => {
  it('finds everything that a pod is given', () => {
    const access = inCluster({ env, folder });
    expect(access).toMatchObject({ server: { origin: 'https://10.96.0.1' }, ca: pem, namespace: 'prod' });
    expect(access.token(systemClock)).toBe('first');
  });

  it('writes IPv6 addresses and other ports as URLs want them', () => {
    const given = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
    expect(inCluster({ env: given, folder }).server.origin).toBe('https://[fd00::1]:6443');
  });

  it('reads the token anew each time', () => {
    const access = inCluster({ env, folder });
    write({ token: 'second' });
    expect(access.token(systemClock)).toBe('second');
  });

  it('has a token file that is gone, empty or garbage as an error of that request, without its content', () => {
    const access = inCluster({ env, folder });
    for (const text of ['', ' \n', 'two words', 'new\r\nheader: x', 'ü']) {
      write({ token: text });
      expect(() => access.token(systemClock)).toThrow(`there is no token in ${join(folder, 'token')}`);
    }
    rmSync(join(folder, 'token'));
    expect(() => access.token(systemClock)).toThrow('ENOENT');
  });

  it('reports everything that is wrong at once', () => {
    rmSync(join(folder, 'token'));
    write({ 'ca.crt': 'no certificate' });
    expect(problems({})).toEqual(['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT', 'token', 'ca.crt']);
  });

  it.each(['', 'a b', 'host/path', 'user@host', '1.2.3.4.5:80:x'])('refuses the host %j', (host) => {
    expect(problems({ ...env, KUBERNETES_SERVICE_HOST: host })).toEqual(['KUBERNETES_SERVICE_HOST']);
  });

  it.each(['', '0', '65536', '44x', '-1', '1e3'])('refuses the port %j', (port) => {
    expect(problems({ ...env, KUBERNETES_SERVICE_PORT: port })).toEqual(['KUBERNETES_SERVICE_PORT']);
  });

  it('does without a namespace, which hand-made mounts lack', () => {
    rmSync(join(folder, 'namespace'));
    expect(inCluster({ env, folder }).namespace).toBeNull();
  });
});
