/**
 * Would catch: anything in which a real API server differs from what the other tests take it for. Runs where KUBECONFIG is
 * set, against the cluster of its current context: makes a namespace of its own, writes Services and EndpointSlices there,
 * and deletes it. Needs kubectl.
 */
import { spawnSync } from 'node:child_process';
import { createEndpoint, type ResolverUpdate, Scope, sleep, systemClock } from '@fairlead/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KubectlProxy, startProxy } from '../test/kubectl-proxy.ts';
import { kubernetesApi } from './index.js';

const skipped = !process.env.KUBECONFIG;
if (skipped) console.log('skipped  tests against a real API server: KUBECONFIG is not set');
const namespace = `fairlead-test-${process.pid}-${Math.floor(systemClock.wall() / 1_000).toString(36)}`;

function kubectl(args: readonly string[], input?: object): string {
  const { status, stdout, stderr } = spawnSync('kubectl', args, {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input: JSON.stringify(input) }),
  });
  if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

interface Given {
  readonly address: string;
  readonly conditions?: object;
}

function put(name: string, service: string, given: readonly Given[]): void {
  kubectl(['apply', '--validate=strict', '-n', namespace, '-f', '-'], {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: given.map(({ address, conditions = {} }) => ({ addresses: [address], conditions })),
  });
}

describe.skipIf(skipped)('a real API server', () => {
  let proxy: KubectlProxy;
  const scope = new Scope(systemClock);
  const told = new Map<string, string>();
  const errors: Error[] = [];

  beforeAll(async () => {
    kubectl(['create', 'namespace', namespace]);
    proxy = await startProxy();
    const access = { server: createEndpoint(proxy.origin), ca: null, namespace, token: () => null };
    const api = kubernetesApi({ access, handler: proxy.handler, watchSeconds: 10, relistMs: 15_000, spreadMs: 1_000 });
    for (const service of ['ledger', 'payments']) {
      const tell = (update: ResolverUpdate): void => {
        if ('error' in update) errors.push(update.error);
        else
          told.set(
            service,
            update.endpoints
              .map(({ origin }) => new URL(origin).hostname)
              .sort()
              .join(' '),
          );
      };
      api.resolver({ service, namespace, port: 'http' }).watch(tell, scope, { clock: systemClock });
    }
  }, 60_000);

  afterAll(() => {
    scope.cancel();
    proxy?.stop();
    kubectl(['delete', 'namespace', namespace, '--wait=false']);
  }, 60_000);

  async function becomes(service: string, wanted: string): Promise<void> {
    const end = systemClock.now() + 20_000;
    while (told.get(service) !== wanted && systemClock.now() < end) await sleep(systemClock, 20);
    expect(told.get(service)).toBe(wanted);
  }

  it('says that nobody is there', () => Promise.all([becomes('ledger', ''), becomes('payments', '')]), 30_000);

  it('tells slices that come, move their endpoints, flip conditions and go', async () => {
    put('ledger-a', 'ledger', [{ address: '10.9.0.1' }, { address: '10.9.0.2', conditions: { ready: false } }]);
    await becomes('ledger', '10.9.0.1');
    put('ledger-b', 'ledger', [{ address: '10.9.0.2', conditions: { ready: true } }]);
    await becomes('ledger', '10.9.0.1 10.9.0.2');
    put('ledger-a', 'ledger', []);
    await becomes('ledger', '10.9.0.2');
    put('ledger-b', 'ledger', [
      { address: '10.9.0.2', conditions: { ready: false, serving: true, terminating: true } },
    ]);
    await becomes('ledger', '10.9.0.2');
    kubectl(['delete', 'endpointslice', '-n', namespace, 'ledger-b']);
    await becomes('ledger', '');
    expect(told.get('payments')).toBe('');
  }, 120_000);

  it('goes on beyond the end of a watch, and beyond a list', async () => {
    for (let i = 1; i <= 4; i++) {
      put('payments-a', 'payments', [{ address: `10.9.1.${i}` }]);
      await becomes('payments', `10.9.1.${i}`);
      await sleep(systemClock, 7_000);
    }
    expect(errors.filter(({ message }) => !/no EndpointSlices|no TCP port/.test(message))).toEqual([]);
  }, 120_000);

  it('takes the manifests of the example as they are', () => {
    const base = new URL('../../../examples/kubernetes/base', import.meta.url).pathname;
    kubectl(['apply', '--dry-run=server', '--validate=strict', '-n', namespace, '-k', base]);
  }, 60_000);
});
