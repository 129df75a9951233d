/** @module What a partner's answers say of the pace that it can stand. */
import { parseRetryAfter, type Reply, replyHeader } from '@fairlead/core';

/** Longest time that an answer can make us hold everything back, in ms. */
const MOST_HOLD_MS = 300_000;
/** Longest time between two calls that an answer can lead to, in ms: the engine's timers cannot wait for a month. */
const MOST_GAP_MS = MOST_HOLD_MS;
/** A 429 that does not say for how long. */
const UNSAID_HOLD_MS = 1_000;
/** Time between two steps back up, in ms. */
const RAISE_MS = 1_000;

/** What is left of a quota, and until when. */
interface Quota {
  readonly remaining: number;
  readonly resetMs: number;
}

/** The pace of the moment: at most what is configured, less where the answers ask for it. All times are monotonic ms. */
export class PaceRate {
  perSecond: number;
  /** Nothing is let go before. */
  holdUntil: number = Number.NEGATIVE_INFINITY;
  readonly #most: number;
  readonly #least: number;
  #raiseAt: number = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number) {
    this.#most = perSecond;
    this.#least = Math.min(perSecond, 1_000 / MOST_GAP_MS);
    this.perSecond = perSecond;
  }

  /**
   * Learns from an answer. A refusal holds everything back for as long as it says and halves the pace; of a quota that is
   * told, what is left is spread over the time that is left; good answers bring the pace back, a tenth per second.
   * @returns whether anything has changed
   */
  observe(reply: Reply, now: number, wallMs: number): boolean {
    const { status } = reply;
    const asked = status === 429 || status === 503 ? parseRetryAfter(replyHeader(reply, 'retry-after'), wallMs) : null;
    const quota = quotaOf(reply, wallMs);
    if (status === 429 || asked !== null) {
      const ms = asked ?? (quota?.remaining === 0 ? quota.resetMs : UNSAID_HOLD_MS);
      // Many may be refused at the same moment: that is one piece of news.
      if (now < this.holdUntil) return this.hold(now, ms);
      this.perSecond = Math.max(this.#least, this.perSecond / 2);
      this.#raiseAt = now + Math.min(ms, MOST_HOLD_MS) + RAISE_MS;
      this.hold(now, ms);
      return true;
    }
    if (quota !== null) return this.#spread(quota, now);
    if (status >= 500 || this.perSecond >= this.#most || now < this.#raiseAt) return false;
    this.#raiseAt = now + RAISE_MS;
    this.perSecond = Math.min(this.#most, this.perSecond + this.#most / 10);
    return true;
  }

  /** Nothing goes for `ms`, at most five minutes. @returns whether that is longer than before */
  hold(now: number, ms: number): boolean {
    const until = now + Math.min(ms, MOST_HOLD_MS);
    if (until <= this.holdUntil) return false;
    this.holdUntil = until;
    return true;
  }

  #spread({ remaining, resetMs }: Quota, now: number): boolean {
    if (remaining === 0) return this.hold(now, resetMs);
    if (resetMs === 0) return false;
    const before = this.perSecond;
    this.perSecond = Math.max(this.#least, Math.min(this.#most, (remaining * 1_000) / resetMs));
    this.#raiseAt = now + Math.min(resetMs, MOST_HOLD_MS);
    // Every answer changes it a little: that is no news.
    return Math.abs(this.perSecond - before) > before / 10;
  }
}

/**
 * What an answer says of a quota: `RateLimit` of draft-ietf-httpapi-ratelimit-headers (`"default";r=50;t=30`, and the older
 * `remaining=50, reset=30`), or the pair `RateLimit-Remaining` and `RateLimit-Reset`, also with `X-`. Of several policies the
 * first counts. Null if it says nothing that can be read.
 */
export function quotaOf(reply: Reply, wallMs: number): Quota | null {
  const field = replyHeader(reply, 'ratelimit');
  if (field !== undefined) {
    const remaining = /[;,\s](?:r|remaining)=(\d{1,12})(?![\w.])/.exec(`;${field}`)?.[1];
    const reset = /[;,\s](?:t|reset)=(\d{1,12})(?![\w.])/.exec(`;${field}`)?.[1];
    if (remaining !== undefined && reset !== undefined) return quota(remaining, reset, wallMs);
  }
  for (const prefix of ['ratelimit', 'x-ratelimit']) {
    const remaining = replyHeader(reply, `${prefix}-remaining`);
    const reset = replyHeader(reply, `${prefix}-reset`);
    if (remaining !== undefined && reset !== undefined) return quota(remaining, reset, wallMs);
  }
  return null;
}

function quota(remaining: string, reset: string, wallMs: number): Quota | null {
  if (!/^\d{1,12}$/.test(remaining) || !/^\d{1,12}(\.\d+)?$/.test(reset)) return null;
  const seconds = Number(reset);
  // Some tell the time of the reset rather than the time until then.
  const resetMs = seconds > 1e9 ? Math.max(0, seconds * 1_000 - wallMs) : seconds * 1_000;
  return { remaining: Number(remaining), resetMs };
}
