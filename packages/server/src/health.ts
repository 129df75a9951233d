/**
 * @module The three questions of a kubelet: has it started, is it alive, should it get traffic. They are answered by the
 * guard before anything else, so that neither a limit nor an overload makes a healthy process look dead.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Check, type Checks, check, checks, type Runtime, resolveOptions, systemClock } from '@fairlead/core';
import { type HealthCheck, Probe } from './probe.js';

/** A path, or a path with checks that all have to pass. */
export type ProbeOptions = string | { readonly path: string; readonly checks?: Readonly<Record<string, HealthCheck>> };

/** Options of {@link healthRoutes}. */
export interface HealthOptions {
  /** Should it get traffic: 503 while the process drains. Default `/readyz`. */
  readonly readiness: ProbeOptions | null;
  /** Is it alive: stays 200 while the process drains, or it would be killed in the middle of it. Default `/livez`. */
  readonly liveness: ProbeOptions | null;
  /** Has it started: once its checks have passed they are not run again. Default null: no such path. */
  readonly startup: ProbeOptions | null;
  /** How long a check may take, in ms; it counts as failed then. Default 1000. */
  readonly timeoutMs: number;
  /** Default: the real clock. */
  readonly runtime: Runtime;
}

/** Defaults of {@link HealthOptions}. */
export const healthDefaults: HealthOptions = Object.freeze({
  readiness: '/readyz',
  liveness: '/livez',
  startup: null,
  timeoutMs: 1_000,
  runtime: Object.freeze({ clock: systemClock }),
} satisfies HealthOptions);

const isPath = (value: unknown): boolean => typeof value === 'string' && /^\/[^?#\s]*$/.test(value);

function isProbe(value: unknown): boolean {
  if (value === null || isPath(value)) return true;
  if (typeof value !== 'object') return false;
  const { path, checks: each = {}, ...rest } = value as { path?: unknown; checks?: object };
  return (
    isPath(path) && Object.keys(rest).length === 0 && Object.values(each).every((run) => typeof run === 'function')
  );
}

const probe: Check = check('a path such as /readyz, { path, checks: { name: function } }, or null', isProbe);

const rules: Checks<HealthOptions> = {
  readiness: probe,
  liveness: probe,
  startup: probe,
  timeoutMs: checks.ms(1),
  runtime: checks.object(),
};

/** Answers the probes. */
export interface Health {
  /** Answers if `path` is one of the probes' and the method GET or HEAD; else false, and nothing has happened. */
  answer(path: string, request: IncomingMessage, response: ServerResponse, draining: boolean): boolean;
}

class HealthRoutes implements Health {
  readonly #readiness: Probe | null;
  readonly #all: readonly Probe[];

  constructor({ readiness, liveness, startup, timeoutMs, runtime }: HealthOptions) {
    const make = (options: ProbeOptions | null, once: boolean): Probe | null => {
      if (options === null) return null;
      const { path, checks: each = {} } = typeof options === 'string' ? { path: options } : options;
      return new Probe(path, each, once, timeoutMs, runtime.clock);
    };
    this.#readiness = make(readiness, false);
    this.#all = [this.#readiness, make(liveness, false), make(startup, true)].filter((each) => each !== null);
  }

  answer(path: string, request: IncomingMessage, response: ServerResponse, draining: boolean): boolean {
    for (const each of this.#all) {
      if (!each.matches(path)) continue;
      if (request.method !== 'GET' && request.method !== 'HEAD') return false;
      if (draining && request.httpVersionMajor < 2) response.setHeader('Connection', 'close');
      if (draining && each === this.#readiness) send(response, 'draining', []);
      else void each.run().then((failing) => send(response, failing.length === 0 ? 'ok' : 'failing', failing));
      return true;
    }
    return false;
  }
}

/** The names of checks are told, since they are in every kubelet's event when a probe fails; their errors are not. */
function send(response: ServerResponse, status: 'ok' | 'failing' | 'draining', failing: readonly string[]): void {
  if (response.headersSent || response.destroyed) return;
  const body = JSON.stringify(failing.length === 0 ? { status } : { status, failing });
  response.statusCode = status === 'ok' ? 200 : 503;
  response.setHeader('Content-Type', 'application/json');
  response.setHeader('Content-Length', String(Buffer.byteLength(body)));
  response.setHeader('Cache-Control', 'no-store');
  response.end(body);
}

/**
 * Makes the health routes of a guard.
 * @throws ConfigError if an option is unknown or wrong
 */
export function healthRoutes(options?: Partial<HealthOptions>): Health {
  return new HealthRoutes(resolveOptions('health', options, healthDefaults, rules));
}
