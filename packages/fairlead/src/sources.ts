/** @module The sources of endpoints that a client understands, beyond those that need only Node. */
import { consul, consulAccess, httpSdOf, parseConsul, type SourceSchemes } from '@fairlead/balance';
import type { Resolver } from '@fairlead/core';
import { parseTarget } from '@fairlead/kubernetes';
import { createTransport, type Transport } from '@fairlead/transport';
import { KubernetesApis } from './kubernetes-apis.js';

/**
 * `kubernetes://service.namespace:port`. All clients of a process share the connections to the API server, which is found
 * when the first such source is read: that of `?context=NAME` or `KUBECONFIG`, of the pod, or of `~/.kube/config`. `consul://service`, likewise, by the variables of Consul's tools.
 * `http-sd+http://host/path` and `http-sd+https://host/path`, whose servers share one transport.
 */
export class Sources {
  readonly schemes: SourceSchemes = {
    kubernetes: (source) => this.#kubernetes.resolver(parseTarget(source)),
    consul: (source) => {
      const { server, options } = parseConsul(source);
      const access = consulAccess({ address: server });
      // A connection for each service: as many as an agent takes from one address, unless it is told otherwise.
      this.#consul ??= createTransport({ tls: access.tls, connections: 200 });
      return consul({ ...options, access, handler: this.#consul.handler });
    },
    'http-sd+http': (source) => this.#httpSd(source),
    'http-sd+https': (source) => this.#httpSd(source),
  };
  readonly #kubernetes: KubernetesApis = new KubernetesApis();
  #consul: Transport | null = null;
  #discovery: Transport | null = null;

  /** Call it when nobody watches any more. */
  async close(): Promise<void> {
    await Promise.all([this.#kubernetes.close(), this.#consul?.close(0), this.#discovery?.close(0)]);
  }

  #httpSd(source: string): Resolver {
    this.#discovery ??= createTransport();
    return httpSdOf(source, this.#discovery.handler);
  }
}
