/**
 * @module One limit of a layer: whose quota a request counts against, how much, and how clients are told, in `RateLimit` and
 * `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10 and -11.
 */
import type { ServerResponse } from 'node:http';
import type { Call } from '@fairlead/core';
import type { Exchange } from '../exchange.js';
import { wholeSeconds } from '../refusal.js';
import { isShared, type LimitVerdict, type Quota } from './limiter.js';
import type { RateLimitOptions } from './rate-limit-options.js';

/** What is told of a quota. */
export type QuotaState = Pick<LimitVerdict, 'limit' | 'remaining' | 'resetMs'>;

/** A limit, ready to be asked. */
export class Limit {
  readonly name: string;
  readonly key: RateLimitOptions['key'];
  readonly limiter: RateLimitOptions['limiter'];
  /** Whether the answer is somebody else's, and may take its time. */
  readonly shared: boolean;
  readonly #cost: RateLimitOptions['cost'];
  readonly #draftHeaders: boolean;
  readonly #legacyHeaders: boolean;
  readonly #policy: string;
  readonly #prefix: string;

  constructor({ limiter, key, name, cost, draftHeaders, legacyHeaders }: Readonly<RateLimitOptions>) {
    this.name = name;
    this.key = key;
    this.limiter = limiter;
    this.shared = isShared(limiter);
    this.#cost = cost;
    this.#draftHeaders = draftHeaders;
    this.#legacyHeaders = legacyHeaders;
    this.#policy = policyField(name, limiter);
    this.#prefix = `"${name}";r=`;
  }

  /** What `call` counts. */
  unitsOf(call: Call): number {
    return typeof this.#cost === 'number' ? this.#cost : this.#cost(call);
  }

  ask(call: Call, key: string, units: number): LimitVerdict | Promise<LimitVerdict> {
    const { limiter } = this;
    return isShared(limiter) ? limiter.ask(key, units, call.scope) : limiter.take(key, call.at, units);
  }

  /** Both fields are lists, to which every limit of a stack adds its own member. */
  tell(exchange: Exchange, state: QuotaState): void {
    if (this.#draftHeaders) {
      exchange.addMember('RateLimit-Policy', this.#policy);
      exchange.addMember('RateLimit', `${this.#prefix}${state.remaining};t=${wholeSeconds(state.resetMs)}`);
    }
    if (this.#legacyHeaders && !exchange.response.headersSent) tellLegacy(exchange.response, state);
  }
}

/**
 * `"default";q=100;w=60`: the draft has whole seconds and whole units only, so the rate is told over the shortest whole
 * number of seconds in which a spent burst comes back.
 */
function policyField(name: string, { perSecond, burst, windowMs = (burst / perSecond) * 1000 }: Quota): string {
  const seconds = Math.max(1, wholeSeconds(windowMs));
  const exact = seconds * 1000 === windowMs;
  return `"${name}";q=${Math.max(1, Math.floor(exact ? burst : perSecond * seconds))};w=${seconds}`;
}

/** The three fields in which servers told their limits before there was a draft, by the same quota as the others. */
function tellLegacy(response: ServerResponse, { limit, remaining, resetMs }: QuotaState): void {
  const before = response.getHeader('X-RateLimit-Remaining');
  if (before !== undefined && Number(before) <= remaining) return;
  response.setHeader('X-RateLimit-Limit', String(limit));
  response.setHeader('X-RateLimit-Remaining', String(remaining));
  response.setHeader('X-RateLimit-Reset', String(wholeSeconds(resetMs)));
}
