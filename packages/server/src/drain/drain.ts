/**
 * @module Stopping without losing a request. When a pod is told to stop, the rest of a cluster goes on sending to it for
 * some seconds, so a server first goes on serving, announcing on every answer that the connection ends; then it stops
 * listening, lets go of connections as they become free, and cuts what is left only when time is up.
 */
import type { Http2Session } from 'node:http2';
import type { Server } from 'node:net';
import { constants } from 'node:os';
import {
  type Checks,
  type Clock,
  ConfigError,
  type ConfigProblem,
  check,
  checks,
  closest,
  later,
  optionProblems,
  type Runtime,
  resolveOptions,
  systemClock,
  type Timer,
} from '@fairlead/core';
import { Connections, type Drainable } from './connections.js';
import { audibleSignals, processSignals, type SignalSource } from './stop-signals.js';
import { type Farewell, farewellToWebSockets } from './upgrades.js';

/** Options of {@link createDrain}. */
export interface DrainOptions {
  /** Name of this service, in events. Default `inbound`. */
  readonly service: string;
  /** Servers to drain, and workers; more can be added, and guards add their servers by themselves. Default none. */
  readonly servers: Drainable | readonly Drainable[];
  /**
   * How long to go on listening after the signal, in ms: the time in which the news that this process stops reaches
   * those who send to it. Default null: 5000 inside Kubernetes (half of `timeoutMs`, if that is less), 0 elsewhere.
   */
  readonly delayMs: number | null;
  /**
   * When to cut what is not finished, in ms after the signal (the delay included). Keep it below the grace period, which
   * Kubernetes sets to 30 s. Default 25000.
   */
  readonly timeoutMs: number;
  /** Signals that start it. Default SIGTERM. None at all leaves it to {@link Drain.start}. */
  readonly signals: readonly NodeJS.Signals[];
  /**
   * Told of each upgraded connection once no new ones are accepted; those that do not end are cut at the timeout. Default
   * {@link farewellToWebSockets}: a close frame with status 1001, going away.
   */
  readonly farewell: Farewell;
  /** Run once every server is closed: the place to flush telemetry and to close databases. Default: nothing to do. */
  readonly cleanup: () => unknown;
  /** How long `cleanup` is waited for, in ms; this comes on top of `timeoutMs`. Default 3000. */
  readonly cleanupTimeoutMs: number;
  /** Default: the real clock, and no listener. */
  readonly runtime: Runtime;
  /** Default: the signals of this process. */
  readonly source: SignalSource;
}

/** Defaults of {@link DrainOptions}. */
export const drainDefaults: DrainOptions = Object.freeze({
  service: 'inbound',
  servers: Object.freeze([]),
  delayMs: null,
  timeoutMs: 25_000,
  signals: Object.freeze(['SIGTERM' as const]),
  farewell: farewellToWebSockets,
  cleanup: () => {},
  cleanupTimeoutMs: 3_000,
  runtime: Object.freeze({ clock: systemClock }),
  source: processSignals,
} satisfies DrainOptions);

/** The delay inside Kubernetes: endpoints are usually updated within a second, and kube-proxies and caches follow. */
const KUBERNETES_DELAY_MS = 5_000;
/** How often connections that have become idle are looked for while closing. */
const SWEEP_MS = 100;

const rules: Checks<DrainOptions> = {
  service: checks.text(),
  servers: check('a server, or a list of servers', (v) => [v].flat().every(isServer)),
  delayMs: checks.orNull(checks.ms()),
  timeoutMs: checks.ms(),
  // Which of them there are, `signalProblems` says, and which one was meant.
  signals: checks.listOf(check('the name of a signal', (v) => typeof v === 'string')),
  farewell: checks.fn(),
  cleanup: checks.fn(),
  cleanupTimeoutMs: checks.ms(),
  runtime: checks.object(),
  source: checks.object(),
};

function isServer(value: unknown): boolean {
  const server = value as Partial<Server> | null;
  return typeof server === 'object' && typeof server?.close === 'function' && typeof server.on === 'function';
}

/** A way to stop. */
export interface Drain {
  /** Whether this process is on its way out: readiness is then false, and every answer ends its connection. */
  readonly draining: boolean;
  /** Resolves when all servers are closed and `cleanup` is done, with the number of connections that had to be cut. */
  readonly done: Promise<number>;
  /** Adds a server, at any time; one that is added late goes straight to where the others are. */
  add(server: Drainable): void;
  /** Adds a connection of HTTP/2, which may be older than what is known of its server. Guards do. */
  addSession(session: Http2Session): void;
  /** Starts without a signal; the process then goes on afterwards. Again, it does nothing more. */
  start(): Promise<number>;
  /** Does everything that is left at once. Before the start, it lets go of the signals, and nothing drains any more. */
  abort(): void;
}

type Phase = 'serving' | 'delay' | 'closing' | 'cleanup' | 'done';

class ServerDrain implements Drain {
  draining = false;
  readonly done: Promise<number>;
  readonly #options: DrainOptions;
  readonly #clock: Clock;
  readonly #connections = new Connections();
  readonly #signaled = (signal: NodeJS.Signals): void => this.#onSignal(signal);
  #resolve!: (cut: number) => void;
  #phase: Phase = 'serving';
  #signal: NodeJS.Signals | null = null;
  /** What happens next if nothing else does: the end of the delay, another sweep, the end of the cleanup. */
  #next: Timer | null = null;
  #timeout: Timer | null = null;
  #open = 0;
  #cut = 0;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#clock = options.runtime.clock;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const server of [options.servers].flat() as Drainable[]) this.add(server);
    for (const signal of options.signals) options.source.on(signal, this.#signaled);
  }

  add(server: Drainable): void {
    if (this.#phase === 'cleanup' || this.#phase === 'done' || !this.#connections.add(server)) return;
    if (this.draining) server.announce?.();
    if (this.#phase === 'closing') this.#stopListening(server as Server);
  }

  addSession(session: Http2Session): void {
    this.#connections.addSession(session);
  }

  start(): Promise<number> {
    if (this.#phase !== 'serving') return this.done;
    const { service, timeoutMs } = this.#options;
    const delayMs = this.#options.delayMs ?? defaultDelayMs(timeoutMs);
    this.draining = true;
    this.#phase = 'delay';
    this.#options.runtime.on?.({ type: 'drain.started', service, delayMs, timeoutMs });
    this.#timeout = later(this.#clock, timeoutMs, () => this.#cutRest());
    this.#connections.announceEnd();
    if (delayMs === 0) this.#close();
    else this.#after(delayMs, () => this.#close());
    return this.done;
  }

  abort(): void {
    if (this.#phase !== 'serving') this.#cutRest();
    this.#finish();
  }

  #onSignal(signal: NodeJS.Signals): void {
    const again = this.#signal !== null;
    this.#signal = signal;
    if (again) this.abort();
    else this.start();
  }

  #close(): void {
    this.#phase = 'closing';
    this.#after(SWEEP_MS, () => this.#sweep());
    // Counts this loop too, so that closing without any server is over in the same way.
    this.#open = 1;
    for (const server of this.#connections.servers) this.#stopListening(server);
    this.#connections.closeIdle();
    this.#connections.farewell(this.#options.farewell);
    this.#serverClosed();
  }

  #stopListening(server: Server): void {
    this.#open++;
    this.#connections.stopListening(server, () => this.#serverClosed());
  }

  #sweep(): void {
    this.#connections.closeIdle();
    // Not in the first moment: what was accepted just now has not had the time to say anything.
    this.#connections.closeSilent();
    this.#after(SWEEP_MS, () => this.#sweep());
  }

  #serverClosed(): void {
    if (--this.#open === 0 && this.#phase === 'closing') this.#closed();
  }

  #cutRest(): void {
    if (this.#phase === 'delay') this.#close();
    if (this.#phase !== 'closing') return;
    this.#cut = this.#connections.closeAll();
    this.#closed();
  }

  #closed(): void {
    this.#phase = 'cleanup';
    this.#connections.stop();
    if (this.#timeout !== null) this.#clock.disarm(this.#timeout);
    const { runtime, service, cleanup, cleanupTimeoutMs } = this.#options;
    runtime.on?.({ type: 'drain.finished', service, cut: this.#cut });
    const finish = (): void => this.#finish();
    this.#after(cleanupTimeoutMs, finish);
    // Inside an async function a cleanup that throws and one that is rejected are the same.
    (async () => cleanup())().catch(warn).then(finish);
  }

  #finish(): void {
    if (this.#phase === 'done') return;
    this.#phase = 'done';
    if (this.#next !== null) this.#clock.disarm(this.#next);
    this.#connections.stop();
    const { signals, source } = this.#options;
    // A process that goes on after this must be one that the signal can still end.
    for (const signal of signals) source.off(signal, this.#signaled);
    this.#resolve(this.#cut);
    if (this.#signal !== null) source.raise(this.#signal);
  }

  #after(ms: number, run: () => void): void {
    if (this.#next !== null) this.#clock.disarm(this.#next);
    this.#next = later(this.#clock, ms, run);
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}

function defaultDelayMs(timeoutMs: number): number {
  return process.env.KUBERNETES_SERVICE_HOST === undefined ? 0 : Math.min(KUBERNETES_DELAY_MS, timeoutMs / 2);
}

/** Whatever nobody would ever hear. */
function signalProblems(signals: unknown): ConfigProblem[] {
  if (!rules.signals.test(signals)) return [];
  return (signals as readonly string[])
    .filter((name) => !audibleSignals.includes(name))
    .map((name) => ({
      name: 'drain.signals',
      value: name,
      expected: 'the name of a signal that a process can listen to, such as SIGTERM',
      // One that exists was meant, although it cannot be heard.
      didYouMean: Object.hasOwn(constants.signals, name)
        ? null
        : closest(/^SIG/i.test(name) ? name : `SIG${name}`, audibleSignals),
    }));
}

/**
 * Makes a drain and starts to listen to its signals.
 * @throws ConfigError if an option is unknown or wrong, nobody can listen to a signal of that name, or `delayMs` is longer
 * than `timeoutMs`
 */
export function createDrain(options?: Partial<DrainOptions>): Drain {
  const problems = [...optionProblems('drain', options, rules), ...signalProblems(options?.signals)];
  if (problems.length > 0) throw new ConfigError(problems, 'options of drain');
  const resolved = resolveOptions('drain', options, drainDefaults, rules);
  const { delayMs, timeoutMs } = resolved;
  if (delayMs !== null && delayMs > timeoutMs) {
    throw new ConfigError([
      { name: 'drain.timeoutMs', value: timeoutMs, expected: `at least delayMs, which is ${delayMs}` },
    ]);
  }
  return new ServerDrain(resolved);
}
