/**
 * @module The standard outbound stack. Read it from top to bottom: that is the order in which a call travels. What is
 * switched off is not in it. Why this order: docs/order.md.
 */
import { balance, type Cluster, p2c, roundRobin } from '@fairlead/balance';
import { gate, type Handler, type Middleware } from '@fairlead/core';
import {
  attemptTimeout,
  type Breaker,
  breaker,
  deadline,
  fallback,
  hedge,
  injectFault,
  mirror,
  type PolicyMode,
  pace,
  race,
  retry,
  retryBudget,
  throttle,
  tokenBucket,
  toService,
} from '@fairlead/policies';
import { propagate, trace } from '@fairlead/telemetry';
import { observe, observeAttempt } from './observe.js';
import type { ClientSettings, FallbackSettings, ServiceSettings } from './settings/index.js';

/** Stacks of other services of the client; null where there is none. */
export interface OtherServices {
  /** Gets copies of calls. */
  readonly copies: Handler | null;
  /** Is asked instead. */
  readonly standIn: Handler | null;
}

/**
 * The layers between a caller of `cluster`'s service and the transport.
 * @param others the stacks of the other services that this one is told to use
 * @param ownBreaker what `breakerOf` made, for whoever wants to look into it as well
 */
export function outboundLayers(
  service: Omit<ServiceSettings, 'from' | 'transport'>,
  client: Pick<ClientSettings, 'tracing' | 'newTraces' | 'urlQuery' | 'on'>,
  cluster: Cluster,
  others: OtherServices,
  ownBreaker: Breaker | null,
): Middleware[] {
  const { tracing, newTraces, urlQuery } = client;
  const heard = client.on !== null;
  const { deadlineHeaders, attemptCount, attempts } = service;
  // One purse for everything that sends a request more than once.
  const budget = service.budget === false ? null : retryBudget(service.budget);
  const layers: (Middleware | false)[] = [
    // The span of the call: above everything, so that it lasts as long as the caller waits.
    tracing !== 'off' && trace({ tracing, newTraces }),
    // One event per call, with what the caller gets in the end. Only if somebody listens, like the one at the bottom.
    heard && observe,
    // Stands in for whatever the layers below give up with, their refusals included.
    fallbackOf(service.fallback, others),
    // The time of the whole call: waiting, connecting, every attempt, every backoff, the body.
    service.timeoutMs !== false &&
      service.timeoutMode !== 'off' &&
      deadline({ ms: service.timeoutMs, mode: service.timeoutMode }),
    // What the caller asked for, whatever becomes of it here: the other service has limits and layers of its own.
    others.copies !== null &&
      on(service.mirror) &&
      mirror({ ...service.mirror, to: others.copies, service: service.mirror.to as string }),
    // A layer of yours may wait for something that hears no cancellation: the caller need not.
    service.layers.call.length > 0 && race(),
    ...service.layers.call,
    // Per call and not per attempt: a quota counts what the caller asked for.
    service.limit !== false &&
      service.limitMode !== 'off' &&
      gate(tokenBucket({ ...service.limit, mode: service.limitMode })),
    // What it does not refuse may still have to wait; the deadline covers that, too.
    on(service.pace) && pace(service.pace),
    // Above the retries: it judges what they could not save, and an open breaker costs none.
    ownBreaker !== null && gate(ownBreaker),
    // Beside it: what the service would refuse anyway is not sent.
    on(service.throttle) && gate(throttle(service.throttle)),
    // Everything from here on happens once per attempt. For hedges also without retries: calls are paid into the budget here.
    ((attempts > 1 && on(service.retry)) || on(service.hedge)) && retry({ ...service.retry, attempts, budget }),
    // Below the retries, so that each of their attempts is hedged by itself.
    on(service.hedge) && hedge({ ...service.hedge, budget }),
    // The time of one attempt, up to the head of its reply.
    service.attemptTimeoutMs !== false &&
      service.attemptTimeoutMode !== 'off' &&
      attemptTimeout({
        ms: service.attemptTimeoutMs,
        mode: service.attemptTimeoutMode,
        skipHopeless: service.skipHopeless,
      }),
    // Picks an endpoint that this call was not sent to yet; asks and tells its health.
    balance({
      cluster,
      picker: service.picker === 'p2c' ? p2c({ cost: service.cost }) : roundRobin(),
      loadReports: service.loadReports,
    }),
    service.layers.attempt.length > 0 && race(),
    ...service.layers.attempt,
    // Below the pick: each attempt has a span id and a remaining time of its own.
    propagate({ tracing, newTraces, deadlineHeaders, attemptCount, urlQuery }),
    // One event per attempt, with its endpoint.
    heard && observeAttempt,
    // As if the network had done it: endpoints are blamed, events tell of it.
    on(service.injectFault) && injectFault(service.injectFault),
  ];
  return layers.filter((layer) => layer !== false);
}

/** The breaker of a service; null if it has none. */
export function breakerOf({ breaker: settings }: Pick<ServiceSettings, 'breaker'>): Breaker | null {
  return on(settings) ? breaker(settings) : null;
}

/** Whether a policy is there at all, if only to say what it would do. */
function on<T extends { readonly mode: PolicyMode }>(settings: T | false): settings is T {
  return settings !== false && settings.mode !== 'off';
}

function fallbackOf(settings: FallbackSettings, { standIn }: OtherServices): Middleware | false {
  const { service, stale, to, ...rest } = settings;
  const instead = standIn === null ? to : toService(standIn, { service: service as string });
  if (!on(settings) || (instead === null && stale === false)) return false;
  return fallback({ ...rest, to: instead, stale: stale === false ? null : stale });
}
