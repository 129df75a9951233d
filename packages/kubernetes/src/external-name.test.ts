/**
 * Would catch: DNS that is asked although there are slices, or is mixed with them; a Service that is emptied for a moment
 * while one hands over to the other; endpoints that an API server which is down takes away; a watch of DNS left behind.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEndpoint, type Resolver, type ResolverUpdate, Scope } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { ApiNetwork } from '../test/api-handler.ts';
import { ApiModel } from '../test/api-model.ts';
import { clusterDomain } from './external-name.js';
import { type KubernetesTarget, kubernetesApi, parseTarget } from './index.js';

function world(
  source = 'kubernetes://s.prod:8080?externalName=dns',
  before: ((model: ApiModel) => void) | null = null,
) {
  const clock = new VirtualClock({ seed: 3 });
  const model = new ApiModel();
  before?.(model);
  const network = new ApiNetwork(model, () => clock.random());
  const access = { server: createEndpoint('https://10.96.0.1'), ca: null, namespace: 'prod', token: () => null };
  const asked: string[] = [];
  const watches: { tell: (update: ResolverUpdate) => void; scope: Scope }[] = [];
  let refreshed = 0;
  const dns = (host: string, port: number): Resolver => {
    asked.push(`${host}:${port}`);
    return {
      name: `dns://${host}`,
      watch: (tell, scope) => void watches.push({ tell, scope }),
      refresh: () => void refreshed++,
    };
  };
  const api = kubernetesApi({ access, handler: network.handler, dns, clusterDomain: 'c.example', spreadMs: 1_000 });
  const resolver = api.resolver(parseTarget(source));
  const scope = new Scope(clock);
  const told: string[] = [];
  resolver.watch(
    (update) =>
      told.push('error' in update ? update.error.message : update.endpoints.map(({ origin }) => origin).join(' ')),
    scope,
    { clock },
  );
  const named = (...origins: string[]): void =>
    watches.at(-1)?.tell({ endpoints: origins.map((origin) => createEndpoint(origin)) });
  const put = (...addresses: string[]): void => {
    const ports = [{ name: 'http', port: 8080, protocol: 'TCP' }];
    model.put({ service: 's', name: 'a', endpoints: addresses.map((address) => ({ addresses: [address] })), ports });
  };
  const end = async (): Promise<void> => {
    scope.cancel();
    await clock.advance(0);
    expect(watches.every((watch) => watch.scope.canceled)).toBe(true);
    checkLeaks({ clock, scopes: [scope] });
  };
  return { clock, model, network, resolver, told, asked, watches, named, put, end, refreshes: () => refreshed };
}

const outside = 'http://192.0.2.1:8080';

describe('a Service that may be an ExternalName', () => {
  it('without slices is its name in DNS, and is nobody for no moment', async () => {
    const { clock, told, asked, watches, named, resolver, end } = world();
    await clock.advance(1_000);
    expect([asked, told, watches.length]).toEqual([['s.prod.svc.c.example:8080'], [], 1]);
    expect(resolver.name).toBe('kubernetes://s.prod:8080?externalName=dns');
    named(outside);
    // The API server goes on saying that there are none, and DNS is asked once.
    await clock.advance(3_600_000);
    expect([told, watches.length]).toEqual([[outside], 1]);
    await end();
  });

  it('is its slices from the first one on, and its name again after the last', async () => {
    const { clock, told, watches, named, put, model, end } = world();
    await clock.advance(1_000);
    named(outside);
    put('10.0.0.1');
    await clock.advance(1_000);
    expect(told.at(-1)).toBe('http://10.0.0.1:8080');
    expect(watches[0]?.scope.canceled).toBe(true);
    model.delete('a');
    await clock.advance(1_000);
    expect([told.at(-1), watches.length]).toEqual(['http://10.0.0.1:8080', 2]);
    named(outside);
    expect(told).toEqual([outside, 'http://10.0.0.1:8080', outside]);
    await end();
  });

  it('whose slices have nobody is nobody: that is certain, and DNS is not asked', async () => {
    const { clock, told, watches, end } = world(undefined, (model) => {
      model.put({ service: 's', name: 'a', endpoints: [] });
    });
    await clock.advance(1_000);
    expect([told, watches.length]).toEqual([[''], 0]);
    await end();
  });

  it('that DNS does not know either is nobody, and that is explained', async () => {
    const { clock, told, named, end } = world();
    await clock.advance(1_000);
    named();
    expect(told).toEqual(['', expect.stringContaining('DNS knows nobody by the name dns://s.prod.svc.c.example')]);
    await end();
  });

  it('keeps whoever answers while the API server is down, and while DNS is', async () => {
    const { clock, told, watches, named, network, put, end } = world();
    await clock.advance(1_000);
    named(outside);
    network.refusing = true;
    network.breakAll();
    await clock.advance(60_000);
    expect([told[0], watches[0]?.scope.canceled]).toEqual([outside, false]);
    expect(told.slice(1).every((text) => !text.startsWith('http'))).toBe(true);
    watches[0]?.tell({ error: new Error('SERVFAIL') });
    expect(told.at(-1)).toBe('SERVFAIL');
    network.refusing = false;
    put('10.0.0.1');
    await clock.advance(60_000);
    expect(told.at(-1)).toBe('http://10.0.0.1:8080');
    await end();
  });

  it('passes on the wish to look again', () => {
    const { resolver, refreshes } = world();
    resolver.refresh?.();
    expect(refreshes()).toBe(1);
  });
});

describe('externalName', () => {
  it('is not what a Service is without saying so', async () => {
    const { clock, told, asked, end } = world('kubernetes://s.prod:8080');
    await clock.advance(1_000);
    expect([asked, told]).toEqual([[], ['', expect.stringContaining('?externalName=dns')]]);
    await end();
  });

  it('needs somebody who asks DNS, and a port with a number', () => {
    const access = { server: createEndpoint('https://a'), ca: null, namespace: 'prod', token: () => null };
    const handler = () => Promise.reject(new Error('not asked'));
    const target: KubernetesTarget = { service: 's', namespace: null, port: 'http', externalName: 'dns' };
    expect(() => kubernetesApi({ access, handler }).resolver(target)).toThrow(/kubernetes\.dns[\s\S]*kubernetes\.port/);
    const asked: string[] = [];
    const dns = (host: string, port: number): Resolver => {
      asked.push(`${host} ${port}`);
      return { name: 'x', watch: () => {} };
    };
    const api = kubernetesApi({ access, handler, dns });
    api.resolver({ ...target, port: null });
    expect(asked).toEqual([expect.stringMatching(/^s\.prod\.svc\.\S+ 80$/)]);
  });
});

describe('the domain of the cluster', () => {
  it.each([
    ['search prod.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n', 'cluster.local'],
    ['nameserver 10.96.0.10\nsearch svc.k8s.example.com k8s.example.com\noptions ndots:5', 'k8s.example.com'],
    ['search a.svc.corp. svc.corp. corp.\n', 'corp'],
    ['search example.com\n', 'cluster.local'],
    ['# search svc.not.this\n', 'cluster.local'],
    ['', 'cluster.local'],
  ])('is read from %j', (text, domain) => {
    const folder = mkdtempSync(join(tmpdir(), 'resolv-'));
    writeFileSync(join(folder, 'resolv.conf'), text);
    expect(clusterDomain(join(folder, 'resolv.conf'))).toBe(domain);
    rmSync(folder, { recursive: true });
    expect(clusterDomain(join(folder, 'resolv.conf'))).toBe('cluster.local');
  });
});
