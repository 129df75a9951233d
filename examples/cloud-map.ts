// A resolver of your own: the instances of a service in AWS Cloud Map, through a client that you pass. Run here against a
// stand-in for that client, together with the checks that every resolver has to pass.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { type ResolverSource, resolverConformance } from '@fairlead/testing';
import { createClient, createEndpoint, type Endpoint, later, type Resolver, type Timer } from 'fairlead';

// #region client
/**
 * What the resolver needs of a client of Cloud Map: `new ServiceDiscovery({ region })` of the package
 * `@aws-sdk/client-servicediscovery` has it. Credentials, regions and signatures stay its business.
 */
interface CloudMapClient {
  discoverInstances(
    input: { NamespaceName: string; ServiceName: string; HealthStatus: 'HEALTHY_OR_ELSE_ALL'; MaxResults: number },
    options: { abortSignal: AbortSignal },
  ): Promise<{ Instances?: { InstanceId?: string; Attributes?: Record<string, string> }[] }>;
}
// #endregion

// #region resolver
/** The instances of `service` in `namespace`, asked for every `everyMs` (default 10,000). */
function cloudMap(options: {
  readonly client: CloudMapClient;
  readonly namespace: string;
  readonly service: string;
  readonly everyMs?: number;
}): Resolver {
  const { client, namespace, service, everyMs = 10_000 } = options;
  const input = {
    NamespaceName: namespace,
    ServiceName: service,
    HealthStatus: 'HEALTHY_OR_ELSE_ALL',
    MaxResults: 1_000,
  } as const;
  return {
    name: `cloudmap://${service}.${namespace}`,
    watch(tell, scope, { clock }) {
      if (scope.canceled) return;
      let timer: Timer | null = null;
      scope.watch({ onCancel: () => timer !== null && clock.disarm(timer) });

      const ask = async (): Promise<void> => {
        // Ends with the watch, and after five seconds: no source may hang.
        const asking = scope.child();
        asking.background = true;
        asking.expireAt(clock.now() + 5_000, 'attempt', 5_000);
        try {
          const { Instances } = await client.discoverInstances(input, { abortSignal: asking.signal });
          if (!Array.isArray(Instances)) throw new Error('Cloud Map sent no list of instances');
          const endpoints = Instances.map(endpointOf);
          if (!scope.canceled) tell({ endpoints }); // everybody; an empty list says that there is nobody
        } catch (error) {
          if (!scope.canceled) tell({ error: error as Error }); // whoever was told before stays
        } finally {
          asking.close();
        }
        // ±10 %, so that a fleet does not ask as one; in the background, so that an idle process may end.
        if (!scope.canceled) timer = later(clock, everyMs * (0.9 + 0.2 * clock.random()), () => void ask(), true);
      };
      void ask();
    },
  };
}

function endpointOf({
  InstanceId,
  Attributes,
}: {
  InstanceId?: string;
  Attributes?: Record<string, string>;
}): Endpoint {
  const {
    AWS_INSTANCE_IPV4: address,
    AWS_INSTANCE_PORT: port = '80',
    AVAILABILITY_ZONE: zone = null,
  } = Attributes ?? {};
  if (address === undefined) throw new Error(`instance ${InstanceId} has no address`);
  return createEndpoint(`http://${address}:${port}`, { zone, attributes: { instance: InstanceId } });
}
// #endregion

// #region stand-in
/** Stands in for Cloud Map: it knows what a check tells it, or is down, or talks nonsense, or does not answer. */
class StandIn implements ResolverSource, CloudMapClient {
  readonly resolver = cloudMap({ client: this, namespace: 'prod', service: 'payments' });
  #answer: () => Promise<unknown> = async () => ({ Instances: [] });
  #asking = 0;

  show(origins: readonly string[]): void {
    const places = origins.map((origin) => new URL(origin));
    const Instances = places.map(({ host, hostname, port }) => ({
      InstanceId: host,
      Attributes: { AWS_INSTANCE_IPV4: hostname, AWS_INSTANCE_PORT: port },
    }));
    this.#answer = async () => ({ Instances });
  }
  fail(): void {
    this.#answer = () => Promise.reject(new Error('ServiceNotFound'));
  }
  garble(): void {
    this.#answer = async () => ({ Instances: [{ InstanceId: 'x' }] });
  }
  hang(): void {
    this.#answer = () => new Promise(() => {});
  }
  held(): number {
    return this.#asking;
  }
  async discoverInstances(_: unknown, { abortSignal }: { abortSignal: AbortSignal }): Promise<never> {
    this.#asking++;
    try {
      const aborted = new Promise<never>((_, reject) => {
        abortSignal.addEventListener('abort', () => reject(abortSignal.reason), { once: true });
      });
      return (await Promise.race([this.#answer(), aborted])) as never;
    } finally {
      this.#asking--;
    }
  }
}
// #endregion

// #region conformance
for (const { name, run } of resolverConformance({ source: () => new StandIn() })) {
  test(`cloudMap ${name}`, run);
}
// #endregion

test('calls go to the instances', async () => {
  const server = createServer((_, response) => response.end('charged')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const standIn: CloudMapClient = {
    discoverInstances: async () => ({
      Instances: [{ InstanceId: 'i-1', Attributes: { AWS_INSTANCE_IPV4: '127.0.0.1', AWS_INSTANCE_PORT: `${port}` } }],
    }),
  };
  {
    // #region use
    // const cloudMapClient = new ServiceDiscovery({ region: 'eu-central-1' });
    const cloudMapClient = standIn;
    await using client = createClient({
      services: { payments: cloudMap({ client: cloudMapClient, namespace: 'prod', service: 'payments' }) },
    });
    const reply = await client.fetch('http://payments/charges/42');
    // #endregion
    assert.equal(await reply.text(), 'charged');
  }
  server.close();
});
