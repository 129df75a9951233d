/** @module The instances of a Consul service that pass their checks, by blocking queries. */
import { type Checks, check, checks, type Handler, type Resolver, resolveOptions } from '@fairlead/core';
import { Watches } from '../watches.js';
import { type ConsulAccess, consulAccess } from './consul-access.js';
import { ConsulWatch, type ConsulWatchOptions } from './consul-watch.js';

/** What {@link consul} can be told. */
export interface ConsulOptions extends ConsulWatchOptions {
  /** Name of the service. */
  readonly service: string;
  /** How to reach Consul. Default null: {@link consulAccess}. */
  readonly access: ConsulAccess | null;
  /** Sends queries to `call.endpoint`: a transport with the TLS options of `access.tls`. */
  readonly handler: Handler;
  /** Default null: that of the agent which is asked. */
  readonly datacenter: string | null;
  /** Enterprise. Default null: that of `access`, or else of the token. */
  readonly namespace: string | null;
  /** Enterprise, the admin partition. Default null: that of `access`, or else of the agent. */
  readonly partition: string | null;
  /** Only instances with all of these tags. Default none. */
  readonly tags: readonly string[];
  /** An expression in Consul's filter language, such as `Service.Meta.version == "2"`. Default null. */
  readonly filter: string | null;
  /**
   * Who may answer. `default`: the leader. `stale`: any server, which spares the leader and works without one, with an
   * answer that may be behind. `consistent`: the leader, once a quorum has confirmed it. Default `default`.
   */
  readonly consistency: 'default' | 'stale' | 'consistent';
}

/** See {@link ConsulOptions}. */
export const consulDefaults: Readonly<Omit<ConsulOptions, 'service' | 'handler'>> = Object.freeze({
  access: null,
  datacenter: null,
  namespace: null,
  partition: null,
  tags: Object.freeze([]),
  filter: null,
  passing: true,
  consistency: 'default',
  address: null,
  zoneMeta: 'zone',
  protocol: 'http',
  waitMs: 60_000,
  minIntervalMs: 1_000,
  requestTimeoutMs: 10_000,
  minBackoffMs: 200,
  maxBackoffMs: 30_000,
});

const isAccess = (value: unknown): boolean => {
  const { server, token } = Object(value) as Partial<ConsulAccess>;
  return Object(server) === server && typeof token === 'function';
};

const rules: Checks<ConsulOptions> = {
  service: checks.text(),
  access: checks.orNull(check('an object with the endpoint of Consul and a function that gives tokens', isAccess)),
  handler: checks.fn('a handler'),
  datacenter: checks.orNull(checks.text()),
  namespace: checks.orNull(checks.text()),
  partition: checks.orNull(checks.text()),
  tags: checks.listOf(checks.text()),
  filter: checks.orNull(checks.text()),
  passing: checks.boolean(),
  consistency: checks.oneOf('default', 'stale', 'consistent'),
  address: checks.orNull(checks.text()),
  zoneMeta: checks.text(),
  protocol: checks.oneOf('http', 'https'),
  // Consul holds nothing back for longer than ten minutes.
  waitMs: checks.ms(1_000, 600_000),
  minIntervalMs: checks.ms(1),
  requestTimeoutMs: checks.ms(1),
  minBackoffMs: checks.ms(1),
  maxBackoffMs: checks.ms(1),
};

/**
 * A resolver that asks Consul's health endpoint (`/v1/health/service/…`) by blocking queries: a change is known as soon as
 * Consul knows it. Weights are those of the instances, the zone comes from their metadata or that of their nodes; see
 * {@link ConsulAttributes} for the rest.
 *
 * A failure is told as an error and tried again after 0.2 to 30 s; it never takes endpoints away, nor does an empty answer
 * that the ACL made so. The token needs `service:read` and `node:read`.
 * @throws ConfigError on unknown, missing or wrong options, or if there is no access
 */
export function consul(options: Partial<ConsulOptions> & Pick<ConsulOptions, 'service' | 'handler'>): Resolver {
  const { service, handler } = options;
  // What must be given and is not should fail its check rather than count as not given.
  const given = { ...options, service: service ?? (null as never), handler: handler ?? (null as never) };
  const settings = resolveOptions<ConsulOptions>('consul', given, { ...consulDefaults, service, handler }, rules);
  const access = settings.access ?? consulAccess();
  const path = pathOf(settings, access);
  const [, about = ''] = path.split('?');
  const shown = about.replace(/(^|&)passing=true(?=&|$)/, '').replace(/^&/, '');
  const place = access.server.origin.replace(/^\w+:\/*/, '');
  const watches = new Watches();
  return {
    refresh: () => watches.refresh(),
    name: `consul://${place}/${service}${shown && `?${shown}`}`,
    watch(tell, scope, runtime) {
      watches.add(new ConsulWatch({ access, handler, runtime, scope }, path, settings, tell), scope).start();
    },
  };
}

function pathOf(settings: ConsulOptions, access: ConsulAccess): string {
  const { datacenter, filter, consistency, passing, tags } = settings;
  const about = new URLSearchParams();
  const set = (name: string, value: string | null): void => {
    if (value !== null) about.append(name, value);
  };
  set('passing', passing ? 'true' : null);
  set('dc', datacenter);
  set('ns', settings.namespace ?? access.namespace);
  set('partition', settings.partition ?? access.partition);
  for (const tag of tags) set('tag', tag);
  set('filter', filter);
  if (consistency !== 'default') set(consistency, '');
  return `/v1/health/service/${encodeURIComponent(settings.service)}?${about}`;
}
