/** @module Makes a guard out of what code and environment say. */
import { type Runtime, systemClock } from '@fairlead/core';
import { createDrain, createGuard, type Guard, healthRoutes, shed } from '@fairlead/server';
import { ambientReader, runWith } from '@fairlead/telemetry';
import { inboundLayers } from './inbound.js';
import { type Environment, type InboundOptions, resolveInbound } from './settings/index.js';

/** What {@link createServiceGuard} takes. */
export interface GuardInit extends InboundOptions {
  /** Where variables are read from; false for nowhere. Default `process.env`. */
  readonly environment?: Environment | false | undefined;
}

/**
 * Makes the guard of a server: health routes, drain on SIGTERM, deadlines, a limit per caller, shedding of load, and what outbound calls made
 * inside handlers inherit.
 * @throws ConfigError that lists everything that is wrong with `init` and the environment
 */
export function createServiceGuard(init: GuardInit = {}): Guard {
  const { environment = process.env, ...options } = init;
  const settings = resolveInbound(options, environment === false ? {} : environment).values;
  const { name: service, drain, health, tracing, newTraces, maxTimeoutMs } = settings;
  const runtime: Runtime = { clock: settings.clock ?? systemClock, on: settings.on ?? undefined };
  const layers = inboundLayers(settings);
  const ambientOf = ambientReader({ tracing, newTraces });
  return createGuard({
    service,
    layers,
    run: (call, work) => runWith(ambientOf(call), work),
    health: health === false ? null : healthRoutes({ ...health, runtime }),
    drain: drain === false ? null : createDrain({ service, ...drain, runtime }),
    criticality: settings.criticality,
    trusts: settings.trusts,
    tells: settings.tells,
    shed: settings.shed === false ? null : shed({ ...settings.shed, clock: runtime.clock }),
    runtime,
    maxTimeoutMs,
    ...(settings.onError === null ? {} : { onError: settings.onError }),
  });
}
