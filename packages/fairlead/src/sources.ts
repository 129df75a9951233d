/** @module The sources of endpoints that a client understands, beyond those that need only Node. */
import { consul, consulAccess, httpSdOf, parseConsul, type SourceSchemes } from '@fairlead/balance';
import type { Resolver } from '@fairlead/core';
import { type Access, inCluster, kubernetes, parseTarget } from '@fairlead/kubernetes';
import { createTransport, type Transport } from '@fairlead/transport';

/**
 * `kubernetes://service.namespace:port`. All services of a client share the connections to the API server, which is found
 * in the way of a pod when the first such source is read. `consul://service`, likewise, by the variables of Consul's tools.
 * `http-sd+http://host/path` and `http-sd+https://host/path`, whose servers share one transport.
 */
export class Sources {
  readonly schemes: SourceSchemes = {
    kubernetes: (source) => {
      const target = parseTarget(source);
      this.#access ??= inCluster();
      // Its own transport: the API server has a certificate authority of its own, and endpoints do not.
      this.#apiServer ??= createTransport({ tls: { ca: this.#access.ca ?? undefined } });
      return kubernetes({ ...target, access: this.#access, handler: this.#apiServer.handler });
    },
    consul: (source) => {
      const { server, options } = parseConsul(source);
      const access = consulAccess({ address: server });
      this.#consul ??= createTransport({ tls: access.tls });
      return consul({ ...options, access, handler: this.#consul.handler });
    },
    'http-sd+http': (source) => this.#httpSd(source),
    'http-sd+https': (source) => this.#httpSd(source),
  };
  #access: Access | null = null;
  #apiServer: Transport | null = null;
  #consul: Transport | null = null;
  #discovery: Transport | null = null;

  /** Call it when nobody watches any more. */
  async close(): Promise<void> {
    await Promise.all([this.#apiServer?.close(0), this.#consul?.close(0), this.#discovery?.close(0)]);
  }

  #httpSd(source: string): Resolver {
    this.#discovery ??= createTransport();
    return httpSdOf(source, this.#discovery.handler);
  }
}
