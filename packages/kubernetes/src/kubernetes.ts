/** @module The endpoints of Kubernetes Services, from their EndpointSlices. */
import {
  type Checks,
  type Clock,
  ConfigError,
  type ConfigProblem,
  check,
  checks,
  type Handler,
  type Resolver,
  resolveOptions,
} from '@fairlead/core';
import type { Access } from './access/access.js';
import { findAccess } from './access/find-access.js';
import { clusterDomain, ExternalName } from './external-name.js';
import { ServerState } from './list-watch/server-state.js';
import { ServiceWatch, type WatchSettings } from './service-watch.js';
import { type KubernetesTarget, labelCheck, portCheck } from './target.js';

/** What {@link kubernetesApi} can be told. */
export interface KubernetesApiOptions extends WatchSettings {
  /** How to reach the API server. Default null: {@link findAccess}. */
  readonly access: Access | null;
  /** Sends requests to `call.endpoint`: see {@link connectTo}, or a transport that trusts `access.ca`. */
  readonly handler: Handler;
  /** How long a watch lasts at most, in seconds; each lasts 80 to 100 % of that. Default 300. */
  readonly watchSeconds: number;
  /** After how long a watch is followed by everything anew instead of the next watch, in ms. Default 1,800,000 (half an hour). */
  readonly relistMs: number;
  /** Time for the head of an answer, for one page of a list, and for everything that a watch begins with, in ms. Default 30,000. */
  readonly requestTimeoutMs: number;
  /** EndpointSlices in one page of a list. Default 500. */
  readonly pageSize: number;
  /** The shortest wait after a failure of its own, in ms. Default 200. */
  readonly minBackoffMs: number;
  /** The longest wait after failures of its own, in ms. Default 30,000. */
  readonly maxBackoffMs: number;
  /**
   * Over how long the processes of a fleet spread when the API server has cut them all off, in ms. Default 75,000, so that
   * of 10,000 processes no more than 2 % come back in any second; a small fleet can do with less, and knows sooner.
   */
  readonly spreadMs: number;
  /** Which of its addresses is used of a pod that has one of each family. Default 4. */
  readonly family: 4 | 6;
  /**
   * Makes a resolver of a name's addresses: `(host, port) => dns({ host, port })`. For targets that may be an ExternalName.
   * Default null: none may.
   */
  readonly dns: ((host: string, port: number) => Resolver) | null;
  /** Where the names of the cluster end. Default null: what `/etc/resolv.conf` says, or else `cluster.local`. */
  readonly clusterDomain: string | null;
}

/** What {@link kubernetes} can be told. */
export interface KubernetesOptions extends KubernetesApiOptions {
  /** Name of the Service. */
  readonly service: string;
  /** Its namespace. Default null: the one that `access` says. */
  readonly namespace: string | null;
  /** Which port (see {@link KubernetesTarget}). Default null: the only one. */
  readonly port: string | number | null;
  /** The context of a kubeconfig, where `access` is null. Default null: as {@link findAccess} decides. */
  readonly context: string | null;
}

/** See {@link KubernetesOptions}. */
export const kubernetesDefaults: Readonly<Omit<KubernetesOptions, 'service' | 'handler'>> = Object.freeze({
  namespace: null,
  port: null,
  context: null,
  access: null,
  watchSeconds: 300,
  relistMs: 1_800_000,
  requestTimeoutMs: 30_000,
  pageSize: 500,
  minBackoffMs: 200,
  maxBackoffMs: 30_000,
  spreadMs: 75_000,
  family: 4,
  dns: null,
  clusterDomain: null,
});

const isAccess = (value: unknown): boolean => {
  const { server, token } = (value ?? {}) as Partial<Access>;
  return typeof server === 'object' && server !== null && typeof token === 'function';
};

const apiRules: Checks<KubernetesApiOptions> = {
  access: checks.orNull(
    check('an object with the endpoint of the API server and a function that gives tokens', isAccess),
  ),
  handler: checks.fn('a handler'),
  watchSeconds: checks.integer(10, 3_600),
  relistMs: checks.ms(1_000),
  requestTimeoutMs: checks.ms(1),
  pageSize: checks.integer(1, 10_000),
  minBackoffMs: checks.ms(1),
  maxBackoffMs: checks.ms(1),
  spreadMs: checks.ms(1),
  family: check('4 or 6', (v) => v === 4 || v === 6),
  dns: checks.orNull(checks.fn('a function that makes a resolver')),
  clusterDomain: checks.orNull(checks.text()),
};

const rules: Checks<KubernetesOptions> = {
  ...apiRules,
  service: labelCheck,
  namespace: checks.orNull(labelCheck),
  port: checks.orNull(portCheck),
  context: checks.orNull(checks.text()),
};

/** The Services that one API server knows. */
export interface KubernetesApi {
  /**
   * A resolver of a Service. Resolvers of the same Service share one watch, on the same clock, for as long as any of them
   * is watched; and all resolvers of an API server come back together after it was away.
   * @throws ConfigError if the namespace is not known
   */
  resolver(target: KubernetesTarget): Resolver;
  /** The Services that are watched at present, as `namespace/service`. */
  readonly watched: readonly string[];
}

/**
 * Makes resolvers that share what can be shared. Nothing is asked before one of them is watched.
 * @throws ConfigError on unknown, missing or wrong options, or if there is no access
 */
export function kubernetesApi(
  options: Partial<KubernetesApiOptions> & Pick<KubernetesApiOptions, 'handler'>,
): KubernetesApi {
  const handler = options.handler ?? (null as never);
  const { namespace: _, port: __, context: ___, ...defaults } = kubernetesDefaults;
  const settings = resolveOptions('kubernetes', { ...options, handler }, { ...defaults, handler }, apiRules);
  return new Api(settings, settings.access ?? findAccess());
}

/**
 * A resolver that watches the EndpointSlices of one Service (API `discovery.k8s.io/v1`, label `kubernetes.io/service-name`)
 * and tells who is ready; where nobody is, who terminates and still serves (KEP-1669).
 *
 * Each endpoint knows its zone, and has as attributes `node`, `pod`, `hints` and `terminating`. Its origin is `https` where
 * the port's `appProtocol` is `https` or its name begins so; its weight is the annotation or label `fairlead.dev/weight` of
 * its slice.
 *
 * A failure is told as an error and tried again; it never takes endpoints away. What is known is told again whenever a
 * watch is resumed, so that its age says how long nobody has confirmed it. The process needs `get`, `list` and `watch` on
 * `endpointslices` in the namespace of the Service. For several Services of one API server use {@link kubernetesApi}.
 * @throws ConfigError on unknown, missing or wrong options, or if there is no access
 */
export function kubernetes(
  options: Partial<KubernetesOptions> & Pick<KubernetesOptions, 'service' | 'handler'>,
): Resolver {
  // What must be given and is not should fail its check rather than count as not given.
  const { service = null as never, handler = null as never } = options;
  const defaults = { ...kubernetesDefaults, service, handler };
  const settings = resolveOptions<KubernetesOptions>('kubernetes', { ...options, service, handler }, defaults, rules);
  const access = settings.access ?? findAccess({ context: settings.context });
  return new Api(settings, access).resolver(settings);
}

class Api implements KubernetesApi {
  readonly #settings: KubernetesApiOptions;
  readonly #access: Access;
  readonly #server: ServerState;
  /** Whoever has a clock of its own has watches of its own. */
  readonly #watches: Map<Clock, Map<string, ServiceWatch>> = new Map();

  constructor(settings: KubernetesApiOptions, access: Access) {
    this.#settings = settings;
    this.#access = access;
    this.#server = new ServerState(settings);
  }

  get watched(): readonly string[] {
    return [...this.#watches.values()].flatMap((watches) => [...watches.keys()]);
  }

  resolver(target: KubernetesTarget): Resolver {
    const { service, port } = target;
    const namespace = target.namespace ?? this.#access.namespace;
    if (namespace === null) {
      const expected = 'a namespace, since the one of this process is not known';
      throw new ConfigError([{ name: 'kubernetes.namespace', expected }], 'options of kubernetes');
    }
    const byName = target.externalName === undefined ? null : this.#byName(`${service}.${namespace}`, port);
    return {
      name: nameOf({ ...target, namespace }),
      refresh: () => {
        for (const watches of this.#watches.values()) watches.get(`${namespace}/${service}`)?.refresh();
        byName?.refresh?.();
      },
      watch: (tell, scope, runtime) => {
        if (scope.canceled) return;
        // An event is of whoever listens, and not of the watch that they share.
        const watches = this.#watches.get(runtime.clock) ?? new Map<string, ServiceWatch>();
        this.#watches.set(runtime.clock, watches);
        const key = `${namespace}/${service}`;
        let watch = watches.get(key);
        if (watch === undefined) {
          watch = this.#open(namespace, service, runtime.clock, () => {
            watches.delete(key);
            if (watches.size === 0) this.#watches.delete(runtime.clock);
          });
          watches.set(key, watch);
        }
        watch.listen(port, byName === null ? tell : new ExternalName(byName, tell, scope, runtime).hear, scope);
      },
    };
  }

  #byName(name: string, port: string | number | null): Resolver {
    const { dns } = this.#settings;
    const problems: ConfigProblem[] = [];
    if (dns === null)
      problems.push({ name: 'kubernetes.dns', expected: 'a function, since externalName asks for one' });
    if (typeof port === 'string') {
      problems.push({ name: 'kubernetes.port', value: port, expected: 'a number, since externalName knows no names' });
    }
    if (dns === null || typeof port === 'string') throw new ConfigError(problems, 'options of kubernetes');
    return dns(`${name}.svc.${this.#settings.clusterDomain ?? clusterDomain()}`, port ?? 80);
  }

  #open(namespace: string, service: string, clock: Clock, onUnused: () => void): ServiceWatch {
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    const path = `${slices}?labelSelector=kubernetes.io%2Fservice-name%3D${service}`;
    const api = { access: this.#access, handler: this.#settings.handler, runtime: { clock } };
    return new ServiceWatch(api, this.#server, path, this.#settings, onUnused);
  }
}

function nameOf({ service, namespace, port, context = null, externalName }: KubernetesTarget): string {
  const about = new URLSearchParams();
  if (context !== null) about.set('context', context);
  if (externalName !== undefined) about.set('externalName', externalName);
  const query = about.size === 0 ? '' : `?${String(about).replaceAll('+', '%20')}`;
  return `kubernetes://${service}.${namespace}${port === null ? '' : `:${port}`}${query}`;
}
