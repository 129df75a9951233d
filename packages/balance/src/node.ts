/** @module An endpoint with everything this process knows of it. */
import {
  type Call,
  type Checks,
  type Clock,
  checks,
  type Endpoint,
  errorCode,
  judge,
  Outcome,
  type PickerNode,
  parseRetryAfter,
  type Reply,
  replyHeader,
  type TransportError,
  type Verdict,
} from '@fairlead/core';
import type { Doubt } from './doubt.js';
import { EndpointHealth, type Ward } from './endpoint-health.js';
import { PeakEwma, type TypicalLatency } from './peak-ewma.js';
import type { ReportedLoad } from './reported-load.js';

/** How latency is estimated. */
export interface LatencyOptions {
  /** After so many ms a sample counts for a third of what it did. Default 10,000. */
  readonly decayMs: number;
  /**
   * A failed or refused request counts as if it had taken at least so long, in ms, and at least ten times what is typical
   * of the service; otherwise an endpoint that fails at once would look like the fastest. Default 1000.
   */
  readonly penaltyMs: number;
}

/** See {@link LatencyOptions}. */
export const latencyDefaults: Readonly<LatencyOptions> = Object.freeze({ decayMs: 10_000, penaltyMs: 1_000 });

/** @internal */
export const latencyChecks: Checks<LatencyOptions> = { decayMs: checks.ms(1), penaltyMs: checks.ms() };

/** A failure costs at least so many typical requests, also where a typical request is slower than the penalty. */
const PENALTY_FACTOR = 10;

/** What the nodes of one cluster share. */
export interface NodeHost extends Ward {
  readonly latency: LatencyOptions;
  readonly typical: TypicalLatency;
  readonly doubt: Doubt;
  /** A node that is leaving has nothing more to do. */
  drained(node: Node): void;
}

/** One endpoint, its load, its latency and its health. */
export class Node implements PickerNode {
  /** As told by the latest snapshot. */
  endpoint: Endpoint;
  /** Its weight, times what load reports say of it. */
  weight: number;
  /** @internal What it has reported of its load; null where nobody has asked. */
  load: ReportedLoad | null = null;
  /** Requests sent there that are not over yet. */
  inFlight = 0;
  /** Discovery does not know it any more: it gets no new work. */
  leaving = false;
  /** @internal Number of the latest snapshot that had it: cheaper than a set of ids for each. */
  snapshot = 0;
  /** @internal The latest connection to it could not be made. */
  unreachable = false;
  readonly latency: PeakEwma;
  readonly health: EndpointHealth;
  /** Told when a request is over; bound once, since every request needs it. */
  readonly ended = (error: unknown): void => {
    if (error === null) this.health.completed();
    else if (errorCode(error) === 'ERR_TRANSPORT' && !this.leaving)
      this.health.brokeOff(this.#host.runtime.clock.now());
    this.#release();
  };
  readonly #host: NodeHost;

  constructor(endpoint: Endpoint, host: NodeHost) {
    this.endpoint = endpoint;
    this.weight = endpoint.weight;
    this.#host = host;
    this.latency = new PeakEwma(host.typical, host.latency.decayMs);
    this.health = new EndpointHealth(endpoint.id, host);
  }

  /** What one more request would cost: the expected latency, times the requests it would share the endpoint with. */
  cost(now: number): number {
    return this.latency.estimate(now) * (this.inFlight / this.weight + 1);
  }

  /** Sends a request here. Gives the ticket for {@link answered} or {@link failed}. */
  enter(now: number): number {
    this.inFlight++;
    return this.health.enter(now);
  }

  /** The head of the reply is there; load is given back when the request is over. */
  answered(call: Call, ticket: number, reply: Reply): void {
    const at = Math.max(reply.at, call.at);
    if (this.unreachable) this.#reachable();
    if (reply.status < 429) {
      this.#took(at - call.at, at);
      this.health.succeeded(ticket, at);
    } else {
      const restMs = parseRetryAfter(replyHeader(reply, 'retry-after'), call.runtime.clock.wall());
      this.#judged(ticket, judge(new Outcome(reply, null, at - call.at)), at - call.at, at, false, restMs);
    }
    reply.onEnd(this.ended);
  }

  /** The request failed without a reply. */
  failed(call: Call, ticket: number, error: unknown): void {
    const clock: Clock = call.runtime.clock;
    const at = clock.now();
    const verdict = judge(new Outcome(null, error, at - call.at));
    const refused = isRefused(error);
    if (refused && !this.leaving) this.#refused();
    this.#judged(ticket, verdict, at - call.at, at, refused, null);
    this.#release();
  }

  /** Discovery does not know it any more. */
  leave(): void {
    this.leaving = true;
    if (this.unreachable) this.#reachable();
  }

  /** Takes over what a newer snapshot says. Gives the endpoint that is thereby gone: that of another origin, or null. */
  update(endpoint: Endpoint): Endpoint | null {
    const before = this.endpoint;
    this.endpoint = endpoint;
    if (before.origin !== endpoint.origin) this.load = null;
    this.weight = endpoint.weight * (this.load?.factor ?? 1);
    if (before.origin === endpoint.origin) return null;
    // Another address is another process: how the old one did says nothing about it. Its requests still count.
    this.latency.forget();
    this.health.reset();
    if (this.unreachable) this.#reachable();
    return before;
  }

  #refused(): void {
    const { doubt } = this.#host;
    if (!this.unreachable) {
      this.unreachable = true;
      doubt.count(1);
      this.#host.changed();
    }
    doubt.raise();
  }

  #reachable(): void {
    this.unreachable = false;
    this.#host.doubt.count(-1);
    this.#host.changed();
  }

  #judged(ticket: number, verdict: Verdict, ms: number, at: number, refused: boolean, restMs: number | null): void {
    const { typical, latency } = this.#host;
    if (verdict === 'success') this.#took(ms, at);
    else if (verdict === 'ignored') this.latency.atLeast(ms, at);
    else this.latency.observe(Math.max(ms, latency.penaltyMs, PENALTY_FACTOR * typical.ms), at);
    this.health.leave(ticket, verdict, at, refused, restMs);
  }

  #took(ms: number, at: number): void {
    // What comes back from an ejection starts with a clean slate, or its penalties would keep it idle.
    if (this.health.state !== 'healthy') this.latency.forget();
    this.#host.typical.observe(ms);
    this.latency.observe(ms, at);
  }

  #release(): void {
    this.inFlight--;
    if (this.leaving && this.inFlight === 0) this.#host.drained(this);
  }
}

/** Whether nobody accepted the connection. */
function isRefused(error: unknown): boolean {
  if (errorCode(error) !== 'ERR_TRANSPORT') return false;
  const { phase, sent } = error as TransportError;
  return phase === 'connect' && sent === 'no';
}
