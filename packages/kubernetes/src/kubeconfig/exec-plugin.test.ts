/**
 * Would catch: a plugin that runs for every request or never again, one that hangs and takes discovery with it, arguments
 * that a shell gets to see, a token in a message, an error that does not say what the plugin said. Real processes: what a
 * plugin is told, and what happens to it, is between it and the system.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Access, kubeconfig } from '../index.js';

const version = 'client.authentication.k8s.io/v1';
let folder = '';
let clock = new VirtualClock();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-exec-'));
  clock = new VirtualClock();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A plugin that runs `script`, and notes that it did. */
function plugin(script: string): void {
  const file = join(folder, 'plugin.mjs');
  const start = `#!${process.execPath}\nimport { appendFileSync, existsSync } from 'node:fs';\n`;
  const note = `appendFileSync(${JSON.stringify(join(folder, 'runs'))}, JSON.stringify({ args: process.argv.slice(2), info: JSON.parse(process.env.KUBERNETES_EXEC_INFO), who: process.env.WHO, path: process.env.PATH !== undefined }) + '\\n');\n`;
  writeFileSync(file, start + note + script);
  chmodSync(file, 0o755);
}

const says = (status: object, more: object = {}): string =>
  `process.stdout.write(${JSON.stringify(JSON.stringify({ kind: 'ExecCredential', apiVersion: version, status, ...more }))});`;

interface Run {
  readonly args: readonly string[];
  readonly info: { readonly spec: { readonly interactive: boolean; readonly cluster?: object } };
  readonly who?: string;
  readonly path: boolean;
}

function runs(): Run[] {
  try {
    return readFileSync(join(folder, 'runs'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

function access(exec: object = {}, cluster: object = {}): Access {
  const spec = { apiVersion: version, command: './plugin.mjs', interactiveMode: 'Never', ...exec };
  const file = join(folder, 'config');
  writeFileSync(
    file,
    JSON.stringify({
      'current-context': 'dev',
      contexts: [{ name: 'dev', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: 'https://api', ...cluster } }],
      users: [{ name: 'u', user: { exec: spec } }],
    }),
  );
  return kubeconfig({ env: { ...process.env, KUBECONFIG: file } });
}

const failure = async (of: Access): Promise<string> => {
  try {
    await of.token(clock);
    return 'no failure';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('a credential plugin', () => {
  it('is run once for all who ask, with arguments that no shell sees, and variables of its own', async () => {
    plugin(says({ token: 'made-by-it' }));
    const args = ['get token', '$HOME', '; exit 1'];
    const made = access({ args, env: [{ name: 'WHO', value: 'jo' }] });
    expect(runs()).toEqual([]);
    expect(await Promise.all([made.token(clock), made.token(clock), made.tls?.(clock)])).toEqual([
      ...['made-by-it', 'made-by-it'],
      {},
    ]);
    expect(runs()).toEqual([
      {
        args,
        who: 'jo',
        path: true,
        info: { kind: 'ExecCredential', apiVersion: version, spec: { interactive: false } },
      },
    ]);
  });

  it('is told of the cluster if it wants to be', async () => {
    plugin(says({ token: 'x' }));
    const pem = '-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n';
    writeFileSync(join(folder, 'ca.pem'), pem);
    const extensions = [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'a' } }];
    await access({ provideClusterInfo: true }, { 'certificate-authority': 'ca.pem', extensions }).token(clock);
    expect(runs()[0]?.info.spec.cluster).toEqual({
      server: 'https://api',
      'certificate-authority-data': Buffer.from(pem).toString('base64'),
      config: { audience: 'a' },
    });
  });

  it('may give a certificate instead of a token, or both', async () => {
    plugin(says({ token: 't', clientCertificateData: 'CERT', clientKeyData: 'KEY' }));
    const made = access({ apiVersion: version });
    expect(await made.tls?.(clock)).toEqual({ cert: 'CERT', key: 'KEY' });
    expect(await made.token(clock)).toBe('t');
    expect(runs()).toHaveLength(1);
  });

  it('is run again shortly before what it gave expires', async () => {
    const at = (ms: number): string => new Date(clock.wall() + ms).toISOString();
    plugin(says({ token: 't', expirationTimestamp: at(600_000) }));
    const made = access();
    await made.token(clock);
    await clock.advance(569_999);
    await made.token(clock);
    expect(runs()).toHaveLength(1);
    await clock.advance(1);
    await made.token(clock);
    expect(runs()).toHaveLength(2);
  });

  it('is run again when the server refused what it gave, and not because another was refused', async () => {
    plugin(says({ token: 't' }));
    const made = access();
    await made.token(clock);
    made.refused?.('older');
    await made.token(clock);
    expect(runs()).toHaveLength(1);
    made.refused?.('t');
    await made.token(clock);
    expect(runs()).toHaveLength(2);
  });

  it('that fails says why, is left alone for a while, and tried again', async () => {
    plugin(`console.error('please log in'); process.exitCode = 3; ${says({ token: 'secret' })}`);
    const made = access();
    const message = await failure(made);
    expect(message).toMatch(/plugin\.mjs failed with exit code 3: please log in$/);
    expect(await failure(made)).toBe(message);
    expect(runs()).toHaveLength(1);
    await clock.advance(5_000);
    plugin(says({ token: 'now' }));
    expect(await made.token(clock)).toBe('now');
  });

  it('that is not there says so, with the hint how to install it', async () => {
    const made = access({ command: 'no-such-plugin-anywhere', installHint: 'get it from example.com' });
    expect(await failure(made)).toMatch(/no-such-plugin-anywhere was not found\nget it from example\.com$/);
  });

  it('that hangs is killed, and the next run is a new one', async () => {
    plugin(
      `if (existsSync(${JSON.stringify(join(folder, 'well'))})) { ${says({ token: 'well' })} } else { setInterval(() => {}, 1e6); }`,
    );
    const made = access();
    const asked = failure(made);
    await clock.advance(60_000);
    expect(await asked).toMatch(/gave no answer within 60000 ms/);
    writeFileSync(join(folder, 'well'), '');
    await clock.advance(5_000);
    expect(await made.token(clock)).toBe('well');
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['nothing', '', 'no JSON'],
    ['secret', 'process.stdout.write("secret")', 'no JSON'],
    ['null', 'process.stdout.write("null")', 'no ExecCredential'],
    [
      'another version',
      says({ token: 'secret' }, { apiVersion: 'client.authentication.k8s.io/v1beta1' }),
      'v1beta1 and not',
    ],
    ['another kind', says({ token: 'secret' }, { kind: 'Pod' }), 'no ExecCredential'],
    ['no status', says({}), 'neither a token nor a certificate'],
    ['a key alone', says({ clientKeyData: 'secret' }), 'without a key, or the reverse'],
    ['a date that is none', says({ token: 'secret', expirationTimestamp: 'soon' }), 'no date'],
    ['a token of two lines', says({ token: 'secret\nsecret' }), 'there is no token'],
    ['too much', 'process.stdout.write("secret".repeat(1e6))', 'could not be run'],
  ])('that says %s is an error', async (_, script, expected) => {
    plugin(script);
    const message = await failure(access());
    expect(message).toContain(expected);
    expect(message).not.toContain('secret');
  });

  it.each([
    [{ apiVersion: 'client.authentication.k8s.io/v1alpha1' }, 'apiVersion'],
    [{ command: '' }, 'command'],
    [{ interactiveMode: 'Always' }, 'interactiveMode'],
    [{ interactiveMode: null }, 'interactiveMode'],
    [{ args: [1] }, 'args'],
    [{ env: [{ name: 'x' }] }, 'env[0]'],
    [{ env: {} }, 'env'],
  ])('%j is refused before anything runs', (exec, field) => {
    expect(() => access(exec)).toThrow(ConfigError);
    expect(() => access(exec)).toThrow(`users[u].user.exec.${field}`);
  });

  it('of the beta version need not say how it asks', async () => {
    const beta = 'client.authentication.k8s.io/v1beta1';
    plugin(says({ token: 'beta' }, { apiVersion: beta }));
    expect(await access({ apiVersion: beta, interactiveMode: null }).token(clock)).toBe('beta');
  });
});
