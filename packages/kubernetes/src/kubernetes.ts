/** @module The endpoints of a Kubernetes Service, from its EndpointSlices. */
import { type Checks, ConfigError, check, checks, type Handler, type Resolver, resolveOptions } from '@fairlead/core';
import { type Access, inCluster } from './access/access.js';
import { ListWatch, type ListWatchOptions } from './list-watch/list-watch.js';
import { type KubernetesTarget, labelCheck, portCheck } from './target.js';

/** What {@link kubernetes} can be told. */
export interface KubernetesOptions extends ListWatchOptions {
  /** Name of the Service. */
  readonly service: string;
  /** Its namespace. Default null: the one that this process runs in. */
  readonly namespace: string | null;
  /** Name of the port, or the number that the pods listen on (see {@link KubernetesTarget}). */
  readonly port: string | number;
  /** How to reach the API server. Default null: {@link inCluster}. */
  readonly access: Access | null;
  /** Sends requests to `call.endpoint`: a transport that trusts `access.ca`. */
  readonly handler: Handler;
  /** How long a watch lasts at most, in seconds; each lasts 80 to 100 % of that. Default 300. */
  readonly watchSeconds: number;
  /** After how long a watch is followed by a list instead of the next watch, in ms. Default 1,800,000 (half an hour). */
  readonly relistMs: number;
  /** Time for one page of a list, in ms. Default 30,000. */
  readonly requestTimeoutMs: number;
  /** EndpointSlices in one page of a list. Default 500. */
  readonly pageSize: number;
  /** The shortest wait after a failure, in ms. Default 200. */
  readonly minBackoffMs: number;
  /** The longest wait after failures, in ms. Default 30,000. */
  readonly maxBackoffMs: number;
}

/** See {@link KubernetesOptions}. */
export const kubernetesDefaults: Readonly<Omit<KubernetesOptions, 'service' | 'port' | 'handler'>> = Object.freeze({
  namespace: null,
  access: null,
  watchSeconds: 300,
  relistMs: 1_800_000,
  requestTimeoutMs: 30_000,
  pageSize: 500,
  minBackoffMs: 200,
  maxBackoffMs: 30_000,
});

const isAccess = (value: unknown): boolean => {
  const { server, token } = (value ?? {}) as Partial<Access>;
  return typeof server === 'object' && server !== null && typeof token === 'function';
};

const rules: Checks<KubernetesOptions> = {
  service: labelCheck,
  namespace: checks.orNull(labelCheck),
  port: portCheck,
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
};

/**
 * A resolver that lists and watches the EndpointSlices of one Service (API `discovery.k8s.io/v1`, label
 * `kubernetes.io/service-name`) and tells who is ready; where nobody is, who terminates and still serves (KEP-1669).
 *
 * Each endpoint knows its zone, and has as attributes `node`, `pod`, `hints` and `terminating`. Its origin is `https` where
 * the port's `appProtocol` is `https` or its name begins so.
 *
 * A failure is told as an error and tried again after 0.2 to 30 s; it never takes endpoints away. The process needs `get`,
 * `list` and `watch` on `endpointslices` in the namespace of the Service.
 * @throws ConfigError on unknown, missing or wrong options, or if there is no access
 */
export function kubernetes(
  options: Partial<KubernetesOptions> & Pick<KubernetesOptions, 'service' | 'port' | 'handler'>,
): Resolver {
  const { service, port, handler } = options;
  // What must be given and is not should fail its check rather than count as not given.
  const given = { ...options, service: service ?? (null as never), port: port ?? (null as never) };
  const settings = resolveOptions<KubernetesOptions>(
    'kubernetes',
    { ...given, handler: handler ?? (null as never) },
    { ...kubernetesDefaults, service, port, handler },
    rules,
  );
  const access = settings.access ?? inCluster();
  const namespace = settings.namespace ?? access.namespace;
  if (namespace === null) {
    const expected = 'a namespace, since the one of this process is not known';
    throw new ConfigError([{ name: 'kubernetes.namespace', expected }], 'options of kubernetes');
  }
  const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  const path = `${slices}?labelSelector=kubernetes.io%2Fservice-name%3D${service}`;
  return {
    name: `kubernetes://${service}.${namespace}:${port}`,
    watch(tell, scope, runtime) {
      new ListWatch({ access, handler, runtime, scope }, path, port, settings, tell).start();
    },
  };
}
