/** @module The layer that chooses an endpoint for each attempt, and learns from how the attempt goes. */
import {
  type Call,
  type Checks,
  checks,
  errorCode,
  type Handler,
  type Middleware,
  named,
  noEndpoint,
  type Picker,
  type Reply,
  resolveOptions,
} from '@fairlead/core';
import type { Cluster } from './cluster.js';
import type { Node } from './node.js';
import { p2c } from './p2c.js';

/** What {@link balance} needs to know. */
export interface BalanceOptions {
  /** Whom to choose from. */
  readonly cluster: Cluster;
  /** Who chooses. Default: a new {@link p2c}. A picker remembers things about its nodes; give each service its own. */
  readonly picker?: Picker;
}

const balanceChecks: Checks<BalanceOptions> = {
  cluster: checks.object('a cluster'),
  picker: checks.object('a picker'),
};

/** Up to so many nodes, those already tried are taken out before a retry picks; above, only if one of them is hit. */
const SMALL = 64;

/**
 * Chooses an endpoint for every attempt: one that this call was not sent to yet, that is healthy, and of the best
 * priority. If there is no such, one that was tried; if nobody is healthy, anybody: health alone never refuses a call.
 * Load is counted until the reply is over, health and latency are judged when its head arrives.
 *
 * Calls that come before discovery has answered wait, as long as their scope allows.
 * @throws ConfigError on unknown or wrong options; NoEndpointError (as a rejection) if there is nobody to send to
 */
export function balance(options: BalanceOptions): Middleware {
  // Null rather than undefined, which would count as not given.
  const given = { ...options, cluster: options.cluster ?? null };
  const { cluster, picker } = resolveOptions<BalanceOptions>(
    'balance',
    given,
    { ...given, picker: p2c() },
    balanceChecks,
  );
  const choose = picker as Picker;
  return named('balance', (call, next) => {
    const node = choice(cluster, choose, call);
    return node === null ? nobody(cluster, choose, call, next) : send(node, call, cluster.roster.now, next);
  });
}

function choice(cluster: Cluster, picker: Picker, call: Call): Node | null {
  cluster.start();
  const { roster } = cluster;
  if (roster.members.length === 0 || cluster.waking) return null;
  const nodes = roster.preferred(call.at);
  const { tried } = call;
  if (tried.size === 0 || nodes.length === 0) {
    // One request each tries out those whose ejection is over. A retry is too precious for that.
    const probe = roster.takeProbe();
    if (probe !== null) return probe;
  }
  if (nodes.length === 0) return picker.pick(roster.members, call);
  if (tried.size === 0) {
    const { neighbourhood } = roster;
    return neighbourhood === null ? picker.pick(nodes, call) : neighbourhood.pick(picker, call);
  }
  if (nodes.length > SMALL) {
    const node = picker.pick(nodes, call);
    if (!tried.has(node.endpoint)) return node;
  }
  const untried = roster.untried(tried);
  return picker.pick(untried.length > 0 ? untried : nodes, call);
}

function send(node: Node, call: Call, now: number, next: Handler): Promise<Reply> {
  const { endpoint } = node;
  call.tried.add(endpoint);
  const ticket = node.enter(now);
  try {
    return next(call.withEndpoint(endpoint)).then(
      (reply) => {
        answered(node, call, ticket, reply);
        return reply;
      },
      (error: unknown): Reply => {
        node.failed(call, ticket, error);
        throw error;
      },
    );
  } catch (error) {
    // A handler must not throw. One that does would be in flight for ever.
    node.failed(call, ticket, error);
    return Promise.reject(error);
  }
}

function answered(node: Node, call: Call, ticket: number, reply: Reply): void {
  try {
    node.answered(call, ticket, reply);
  } catch (error) {
    // A layer below gave back something that is no reply, and that will never end.
    node.failed(call, ticket, error);
    throw error;
  }
}

async function nobody(cluster: Cluster, picker: Picker, call: Call, next: Handler): Promise<Reply> {
  const { service } = call;
  if (cluster.state === 'pending' || cluster.waking || cluster.closed) {
    try {
      await cluster.waitReady(call.scope);
    } catch (reason) {
      // Out of time is what happened; that discovery has not answered is why, and that nothing was sent.
      if (errorCode(reason) !== 'ERR_TIMEOUT') throw reason;
      throw noEndpoint({ service, state: 'pending', cause: reason });
    }
    call.scope.throwIfExpired();
    // The wait says nothing about the endpoint.
    const begun = call.with({ at: call.runtime.clock.now() });
    const node = choice(cluster, picker, begun);
    if (node !== null) return send(node, begun, cluster.roster.now, next);
  }
  const state = cluster.state === 'failed' ? 'failed' : 'empty';
  throw noEndpoint({ service, state, cause: cluster.lastError ?? undefined });
}
