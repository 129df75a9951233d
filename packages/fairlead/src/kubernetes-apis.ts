/** @module The API servers of Kubernetes that the clients of this process speak to, each once for all of them. */
import { dns } from '@fairlead/balance';
import type { Resolver } from '@fairlead/core';
import {
  type Access,
  type Connection,
  connectTo,
  findAccess,
  type KubernetesApi,
  type KubernetesTarget,
  kubernetesApi,
} from '@fairlead/kubernetes';
import { createTransport } from '@fairlead/transport';

/** An API server, as long as a client holds it. */
interface Held {
  readonly key: string;
  readonly api: KubernetesApi;
  readonly connection: Connection;
  /** Clients that hold it. */
  clients: number;
}

/** Clients come and go (tests, reloads, several copies of a library): what they watch is watched once. */
const held = new Map<string, Held>();

/** The API servers that one client needs. */
export class KubernetesApis {
  readonly #byKind: Map<string, Held> = new Map();

  /** The resolver of a Service. @throws ConfigError if there is no access to its API server */
  resolver(target: KubernetesTarget): Resolver {
    const { context = null, spreadMs = '', family = '' } = target;
    const kind = [context ?? '', spreadMs, family].join(' ');
    let own = this.#byKind.get(kind);
    if (own === undefined) {
      own = hold(kind, findAccess({ context }), target);
      this.#byKind.set(kind, own);
    }
    return own.api.resolver(target);
  }

  /** Call it once, when nobody watches any more. */
  async close(): Promise<void> {
    const ended: Promise<void>[] = [];
    for (const own of this.#byKind.values()) {
      if (--own.clients > 0) continue;
      held.delete(own.key);
      ended.push(own.connection.close(0));
    }
    this.#byKind.clear();
    await Promise.all(ended);
  }
}

function hold(kind: string, access: Access, { spreadMs, family }: KubernetesTarget): Held {
  const key = [kind, access.server.origin, access.basePath, access.namespace, process.env.KUBECONFIG].join(' ');
  const known = held.get(key);
  if (known !== undefined) {
    known.clients++;
    return known;
  }
  const connection = connectTo(access, (tls) =>
    createTransport({
      tls,
      // A hundred watches to a connection. Without TLS there is no asking whether the server can: kubectl proxy cannot.
      http2: access.server.origin.startsWith('https:'),
      // Where it cannot, each watch holds a connection for as long as it lasts.
      connections: 10_000,
    }),
  );
  const api = kubernetesApi({
    access,
    handler: connection.handler,
    dns: (host, port) => dns({ host, port }),
    ...(spreadMs === undefined ? null : { spreadMs }),
    ...(family === undefined ? null : { family }),
  });
  const made = { key, api, connection, clients: 1 };
  held.set(key, made);
  return made;
}
