/** Would catch: a resolver that starts half-configured, and a page that no longer says what the code does. */
import { readFileSync } from 'node:fs';
import { ConfigError, createEndpoint } from '@fairlead/core';
import { refuse, scripted } from '@fairlead/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Access, type KubernetesOptions, kubernetes, kubernetesDefaults } from './index.js';

const access: Access = { server: createEndpoint('https://api'), ca: null, namespace: null, token: () => null };
const handler = scripted(refuse());

function problems(options: object): string[] {
  try {
    kubernetes(options as KubernetesOptions);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ name }) => name);
  }
  return [];
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('kubernetes', () => {
  it('is named after what it finds', () => {
    const given = { service: 'payments', port: 'http', handler };
    expect(kubernetes({ ...given, namespace: 'prod', access }).name).toBe('kubernetes://payments.prod:http');
    expect(kubernetes({ ...given, access: { ...access, namespace: 'own' } }).name).toBe(
      'kubernetes://payments.own:http',
    );
  });

  it('lists every wrong option, missing ones among them', () => {
    const names = ['service', 'handler'].map((name) => `kubernetes.${name}`);
    expect(problems({}).sort()).toEqual(names.sort());
    const wrong = { service: 'A/b', namespace: '..', port: 0, handler: 7, access: {}, watchSeconds: 9, relistMs: 1 };
    const more = {
      requestTimeoutMs: 0,
      pageSize: 0,
      minBackoffMs: 0,
      maxBackoffMs: Number.NaN,
      spreadMs: 0,
      family: 5,
      other: 1,
    };
    expect(problems({ ...wrong, ...more })).toHaveLength(14);
  });

  it('needs a namespace from somewhere', () => {
    expect(problems({ service: 'a', port: 1, handler, access })).toEqual(['kubernetes.namespace']);
  });

  it('says outside of a pod that it is outside of a pod', () => {
    vi.stubEnv('KUBERNETES_SERVICE_HOST', undefined);
    expect(problems({ service: 'a', port: 1, handler })).toContain('KUBERNETES_SERVICE_HOST');
  });

  it('has the defaults of its page', () => {
    const page = readFileSync(new URL('../../../docs/kubernetes.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `(\w+)` \| `([\w_]+)` \|/gm)];
    const documented = Object.fromEntries(rows.map(([, name, value]) => [name, (value as string).replaceAll('_', '')]));
    const actual = Object.entries(kubernetesDefaults).map(([name, value]) => [name, String(value)]);
    expect(documented).toEqual(Object.fromEntries(actual));
  });
});
