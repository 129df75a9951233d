/**
 * Would catch: a kubeconfig that is read otherwise than kubectl reads it, half-applied, or refused without saying all that
 * is wrong; a certificate or token that is kept after its file was replaced; a secret in a message.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ConfigError, systemClock } from '@fairlead/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findAccess, kubeconfig } from '../index.js';

const pem = (what: string, text: string): string => `-----BEGIN ${what}-----\n${text}\n-----END ${what}-----\n`;
const data = (text: string): string => Buffer.from(text).toString('base64');
const ca = pem('CERTIFICATE', 'ca');
const cert = pem('CERTIFICATE', 'client');
const key = pem('EC PRIVATE KEY', 'secret-key');

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-kubeconfig-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string | object): string {
  const file = join(folder, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, typeof text === 'string' ? text : JSON.stringify(text));
  return file;
}

/** One context, `dev`, with a cluster and a user. */
const config = (cluster: object = {}, user: object = {}, context: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'dev',
  contexts: [{ name: 'dev', context: { cluster: 'c', user: 'u', ...context } }],
  clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443', ...cluster } }],
  users: [{ name: 'u', user }],
});

const read = (text: string | object = config(), context: string | null = null): ReturnType<typeof kubeconfig> =>
  kubeconfig({ env: { KUBECONFIG: write('config', text) }, context });

function problems(text: string | object, context: string | null = null): string[] {
  try {
    read(text, context);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.message).not.toMatch(/secret/);
    return error.problems.map(({ name, expected }) => `${name.replace(`${folder}/`, '')} | ${expected}`);
  }
  return [];
}

describe('a kubeconfig', () => {
  it('as kind writes it: YAML, a certificate authority and a client certificate as data', async () => {
    const access = read(`
apiVersion: v1
kind: Config
preferences: {}
current-context: kind-dev
clusters:
- name: kind-dev
  cluster: {certificate-authority-data: ${data(ca)}, server: "https://127.0.0.1:33121"}
contexts:
- context: {cluster: kind-dev, user: kind-dev, namespace: shop}
  name: kind-dev
users:
- name: kind-dev
  user:
    client-certificate-data: ${data(cert)}
    client-key-data: ${data(key)}
`);
    expect(access).toMatchObject({
      server: { origin: 'https://127.0.0.1:33121' },
      ca,
      namespace: 'shop',
      basePath: '',
    });
    expect(await access.tls?.(systemClock)).toEqual({ ca, cert, key });
    expect(await access.token(systemClock)).toBeNull();
  });

  it('is merged out of several files; whoever says something first is right, and files that are not there do not matter', async () => {
    const one = write('a/one', {
      contexts: [{ name: 'dev', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: 'https://one', 'certificate-authority': 'ca.pem' } }],
    });
    write('a/ca.pem', ca);
    const two = write('b/two', {
      ...config({ server: 'https://two' }, { tokenFile: 'token' }, { namespace: 'late' }),
      contexts: [
        { name: 'dev', context: { cluster: 'late' } },
        { name: 'b', context: { cluster: 'c', user: 'u' } },
      ],
    });
    write('b/token', 'from-b\n');
    const env = { KUBECONFIG: [one, '', join(folder, 'none'), two].join(delimiter) };
    const access = kubeconfig({ env });
    expect(access).toMatchObject({ server: { origin: 'https://one' }, ca, namespace: 'default' });
    expect(await access.token(systemClock)).toBe('from-b');
    expect(kubeconfig({ env, context: 'b' }).server.origin).toBe('https://one');
  });

  it('is that of the home directory where none is named', () => {
    write('.kube/config', config());
    expect(kubeconfig({ env: {}, home: folder }).server.origin).toBe('https://10.0.0.1:6443');
  });

  it('may name a server behind a gateway, another name for its certificate, or none that is looked at', async () => {
    const access = read(config({ server: 'https://rancher/k8s/clusters/c-1/', 'tls-server-name': 'api.local' }));
    expect([access.server.origin, access.basePath]).toEqual(['https://rancher', '/k8s/clusters/c-1']);
    expect(await access.tls?.(systemClock)).toEqual({ servername: 'api.local' });
    const insecure = read(config({ 'insecure-skip-tls-verify': true }));
    expect(await insecure.tls?.(systemClock)).toEqual({ rejectUnauthorized: false });
  });

  it('does without a user, as for kubectl proxy', async () => {
    const access = read(config({ server: 'http://127.0.0.1:8001' }, {}, { user: '' }));
    expect(await access.token(systemClock)).toBeNull();
    expect(access.authorization?.()).toBeNull();
  });

  it('has a token, a token file that is read each time, or user and password', async () => {
    expect(await read(config({}, { token: 'secret' })).token(systemClock)).toBe('secret');
    const file = write('token', 'first');
    const access = read(config({}, { tokenFile: 'token', token: 'other' }));
    expect(await access.token(systemClock)).toBe('first');
    writeFileSync(file, 'second\n');
    expect(await access.token(systemClock)).toBe('second');
    const basic = read(config({}, { username: 'jo', password: 'pä' }));
    expect(basic.authorization?.()).toBe(`Basic ${data('jo:pä')}`);
  });

  it('reads certificates anew that are in files, and keeps the old while they are being replaced', async () => {
    write('ca.pem', ca);
    write('cert.pem', cert);
    write('key.pem', key);
    const access = read(
      config({ 'certificate-authority': 'ca.pem' }, { 'client-certificate': 'cert.pem', 'client-key': 'key.pem' }),
    );
    expect(await access.tls?.(systemClock)).toEqual({ ca, cert, key });
    write('cert.pem', 'half a fi');
    rmSync(join(folder, 'ca.pem'));
    expect(await access.tls?.(systemClock)).toEqual({ ca, cert, key });
    const renewed = pem('CERTIFICATE', 'new');
    write('cert.pem', renewed);
    write('ca.pem', renewed);
    expect(await access.tls?.(systemClock)).toEqual({ ca: renewed, cert: renewed, key });
  });

  it('may act as somebody else', () => {
    const as = { as: 'jane', 'as-uid': '7', 'as-groups': ['dev', 'ops'], 'as-user-extra': { 'a/B': ['x', 'y'] } };
    expect(read(config({}, as)).headers).toEqual([
      ...['impersonate-user', 'jane', 'impersonate-uid', '7'],
      ...['impersonate-group', 'dev', 'impersonate-group', 'ops'],
      ...['impersonate-extra-a%2fb', 'x', 'impersonate-extra-a%2fb', 'y'],
    ]);
  });
});

describe('what is wrong with a kubeconfig', () => {
  it('is told all at once', () => {
    const cluster = { server: 'api', 'proxy-url': 'http://p', 'certificate-authority': 'no.pem', 'tls-server-name': 7 };
    const user = { 'auth-provider': { name: 'gcp' }, token: 'secret secret', username: 'jo', 'client-key-data': 'x' };
    const found = problems(config(cluster, { ...user, 'as-uid': '1', 'as-groups': 'x' }, { namespace: [] }));
    const fields = ['proxy-url', 'server', 'tls-server-name', 'certificate-authority'];
    for (const field of fields) expect(found).toContainEqual(expect.stringContaining(`clusters[c].cluster.${field} |`));
    for (const field of ['auth-provider', 'token', 'client-key-data', 'client-certificate', 'as', 'as-groups']) {
      expect(found).toContainEqual(expect.stringContaining(`users[u].user.${field} |`));
    }
    expect(found).toContainEqual(expect.stringContaining('either a token or a username'));
  });

  it.each([
    ['a context that is not there', config(), 'prod', 'context | one of dev'],
    ['no current context', { ...config(), 'current-context': '' }, null, 'current-context | one of dev'],
    ['no contexts', { ...config(), contexts: null }, null, 'no contexts at all'],
    ['no such cluster', config({}, {}, { cluster: 'x' }), null, 'contexts[dev].context.cluster | one of c'],
    ['no such user', config({}, {}, { user: 'x' }), null, 'contexts[dev].context.user | one of u'],
    ['a list that is none', { ...config(), users: {} }, null, 'config.users | a list'],
    ['an entry without a name', { ...config(), users: [{}] }, null, 'config.users[0] | an entry with a name'],
    ['a section that is none', { ...config(), users: [{ name: 'u', user: 7 }] }, null, 'users[u].user | an object'],
    ['no YAML', 'users: [\nsecret: "', null, 'config | a kubeconfig, in YAML or JSON'],
    ['no object', '- secret\n', null, 'config | a kubeconfig'],
    ['credentials in the URL', config({ server: 'https://jo:secret@api' }), null, 'cluster.server | the URL'],
    ['a flag that is none', config({ 'insecure-skip-tls-verify': 'yes' }), null, 'true or false'],
    [
      'trust both blind and not',
      config({ 'insecure-skip-tls-verify': true, 'certificate-authority-data': data(ca) }),
      null,
      'insecure-skip-tls-verify | false',
    ],
    ['an impossible header', config({}, { as: 'jö\n' }), null, 'user.as | printable'],
  ])('%s', (_, text, context, expected) => {
    expect(problems(text, context).join('\n')).toContain(expected);
  });

  it('does not matter in entries that the context does not need', () => {
    const other = { name: 'broken', user: { 'auth-provider': {}, exec: 7 } };
    expect(problems({ ...config(), users: [other, { name: 'u', user: {} }] })).toEqual([]);
  });

  it('and guesses the context that was meant', () => {
    const error = (() => {
      try {
        read(config(), 'dve');
      } catch (thrown) {
        return thrown as ConfigError;
      }
      return null;
    })();
    expect(error?.problems[0]).toMatchObject({ name: 'context', value: 'dve', didYouMean: 'dev' });
  });

  it('includes that there is none', () => {
    expect(() => kubeconfig({ env: {}, home: folder })).toThrow(join(folder, '.kube', 'config'));
  });
});

describe('findAccess', () => {
  const pod = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
  const mount = (): string => {
    write('sa/token', 'of-the-pod');
    write('sa/ca.crt', ca);
    return join(folder, 'sa');
  };

  it('is that of the pod, within one', () => {
    write('.kube/config', config());
    expect(findAccess({ env: pod, home: folder, folder: mount() }).server.origin).toBe('https://10.96.0.1');
  });

  it('is a kubeconfig where one is named, or a context, or outside of a pod', () => {
    const file = write('.kube/config', config());
    const given = { home: folder, folder: mount() };
    for (const env of [{ ...pod, KUBECONFIG: file }, { KUBECONFIG: file }, {}]) {
      expect(findAccess({ ...given, env }).server.origin).toBe('https://10.0.0.1:6443');
    }
    expect(findAccess({ ...given, env: pod, context: 'dev' }).server.origin).toBe('https://10.0.0.1:6443');
  });

  it('lists what is missing of either way', () => {
    expect(() => findAccess({ env: {}, home: folder, folder })).toThrow(/KUBERNETES_SERVICE_HOST[\s\S]*a kubeconfig/);
    expect(() => findAccess({ env: pod, home: folder, folder })).toThrow(/token/);
  });
});
