/**
 * @module What follows a failed first attempt. The loop is p-retry's; whether there is another attempt and when is decided
 * here, because p-retry knows neither our clock, nor `Retry-After`, nor the deadline of the call.
 */
import {
  type Call,
  canSend,
  discard,
  errorCode,
  type FailedAttempt,
  FairleadError,
  giveUp,
  type Handler,
  inheritedAttempt,
  parseRetryAfter,
  type Reply,
  type RetryRefused,
  replyHeader,
  sleep,
  TimeoutError,
  type Tried,
} from '@fairlead/core';
import pRetry from 'p-retry';
import type { PolicyMode } from '../policy-mode.js';
import { fullJitter } from './backoff.js';
import { nameService } from './name-service.js';
import type { RetryBudget } from './retry-budget.js';
import { forbidsRetry, isReplicaNack, type Repeatable, repeatableError, repeatableReply } from './retry-reason.js';
import { isUnderWay, whole } from './whole-reply.js';

/** What a {@link RetryLoop} goes by. */
export interface RetrySettings {
  readonly mode: PolicyMode;
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
  readonly maxRetryAfterMs: number;
  readonly statuses: ReadonlySet<number>;
  readonly wholeReplyBytes: number;
  /** The least status that need be looked at: what is below is an answer. */
  readonly suspicious: number;
  readonly budget: RetryBudget | null;
}

type Refusal = RetryRefused['reason'];

/** After these, another hop that repeats the request would only repeat what has been done, or was not to be done, here. */
const final: ReadonlySet<Refusal> = new Set<Refusal>(['attempts', 'budget', 'retry-after', 'forbidden', 'inherited']);

/** Pays for what the transport has sent twice by itself, after the fact: a replay that was of use is no reason to refuse it. */
export function payReplays(budget: RetryBudget | null, tried: Tried, now: number): void {
  for (let n = tried.replays ?? 0; n > 0; n--) budget?.tryWithdraw(now);
  tried.replays = 0;
}

/**
 * One call of which the first attempt has failed. It is also what it throws at p-retry to be called again, hence the
 * prototype of Error below, without the stack that nobody would read.
 */
export class RetryLoop {
  /** The latest attempt. */
  #call: Call;
  /** Its number, counted here: layers above may have counted already. */
  #n = 1;
  #reply: Reply | null = null;
  #error: unknown = null;
  /** Wait before the next attempt in ms, or below 0 if there is none. */
  #delayMs = -1;
  #refusal: Refusal | null = null;
  /** The reply of the latest attempt, if its body broke while it was awaited whole. */
  #broken: Reply | null = null;
  readonly #failed: FailedAttempt[] = [];
  readonly #next: Handler;
  readonly #settings: RetrySettings;

  constructor(call: Call, next: Handler, settings: RetrySettings) {
    this.#call = call;
    this.#next = next;
    this.#settings = settings;
  }

  /** Only tells whether another attempt would follow. It is paid for as if it did. */
  async pretend(reply: Reply | null, error: unknown, repeatable: Repeatable): Promise<Reply> {
    this.#reply = reply;
    this.#error = error;
    const { scope, runtime, service } = this.#call;
    if (!scope.canceled && typeof this.#plan(repeatable) === 'number') {
      runtime.on?.({ type: 'policy.shadowed', service, policy: 'retry', would: 'send' });
    }
    if (reply === null) throw error;
    return reply;
  }

  /**
   * Goes on after a first attempt that got `reply`, or `error` if `reply` is null.
   * @param broken what it got before that error; handed over if nothing better comes, since its status is still an answer
   */
  async after(
    reply: Reply | null,
    error: unknown,
    repeatable: Repeatable,
    broken: Reply | null = null,
  ): Promise<Reply> {
    this.#broken = broken;
    this.#settle(reply, error, repeatable);
    if (this.#delayMs >= 0) await this.#repeat();
    if (this.#reply !== null) return this.#reply;
    // Of a broken reply whoever reads its body is told this error.
    const explained = this.#explain(this.#error);
    if (this.#broken !== null) return this.#broken;
    throw explained;
  }

  async #repeat(): Promise<void> {
    try {
      // With minTimeout 0 p-retry arms no timer and draws no chance (it reads performance.now once, for a time limit that
      // is not set). The wait is ours and happens in shouldRetry: onFailedAttempt is also called when nothing follows.
      await pRetry((n) => this.#attempt(n), {
        retries: this.#settings.attempts - 1,
        minTimeout: 0,
        shouldRetry: ({ error }) => (error as unknown) === this && this.#wait(),
      });
    } catch (reason) {
      // Canceled while it waited: every failure of an attempt is kept in a field instead of being thrown at p-retry,
      // which would refuse to repeat a TypeError and wrap what is not an Error.
      this.#reply = this.#broken = null;
      this.#error = reason;
    }
  }

  async #attempt(n: number): Promise<void> {
    if (n > 1) {
      const last = this.#call;
      const { budget, statuses, suspicious, wholeReplyBytes } = this.#settings;
      // Hedges have numbers of their own.
      const attempt = Math.max(last.attempt, last.tried.sends) + 1;
      this.#call = last.with({ attempt, at: last.runtime.clock.now() });
      this.#n++;
      let reply: Reply | null = null;
      let error: unknown = null;
      this.#broken = null;
      try {
        reply = await this.#next(this.#call);
        if (reply.status < suspicious && isUnderWay(reply, this.#call, wholeReplyBytes)) {
          this.#broken = reply;
          await whole(reply, this.#call.runtime.clock);
          this.#broken = null;
        }
      } catch (thrown) {
        reply = null;
        error = thrown;
      }
      if (last.tried.replays) payReplays(budget, last.tried, this.#call.at);
      const repeatable = reply === null ? repeatableError(error) : repeatableReply(reply, statuses);
      if (reply === null || repeatable !== 'never') budget?.failed?.(this.#call.runtime.clock.now());
      this.#settle(reply, error, repeatable);
    }
    if (this.#delayMs >= 0) throw this;
  }

  async #wait(): Promise<boolean> {
    await sleep(this.#call.runtime.clock, this.#delayMs, this.#call.scope);
    return true;
  }

  /** Takes down how an attempt went, and decides whether another one follows. */
  #settle(reply: Reply | null, error: unknown, repeatable: Repeatable): void {
    const call = this.#call;
    this.#reply = reply;
    this.#error = error;
    this.#delayMs = -1;
    this.#refusal = null;
    if (repeatable === 'never' || call.scope.canceled) return;
    const plan = this.#plan(repeatable);
    if (typeof plan === 'string') {
      this.#refusal = plan;
      if (final.has(plan)) giveUp(call.scope);
      call.runtime.on?.({ type: 'retry.refused', service: call.service, attempt: call.attempt + 1, reason: plan });
      return;
    }
    this.#delayMs = plan;
    this.#failed.push({
      attempt: this.#n,
      endpoint: reply === null ? endpointOf(error) : (reply.endpoint?.id ?? null),
      error: reply === null ? error : null,
      status: reply?.status ?? null,
    });
    call.runtime.on?.({
      type: 'retry.scheduled',
      service: call.service,
      attempt: call.attempt + 1,
      delayMs: plan,
      reason: reply === null ? (errorCode(error) ?? 'error') : String(reply.status),
    });
    // Before the wait rather than after it: the connection is of use to others meanwhile.
    if (reply !== null) discard(reply);
  }

  /** The wait before the next attempt in ms, or why there is none. The budget comes last, so that it pays for no refusal. */
  #plan(repeatable: Repeatable): number | Refusal {
    const call = this.#call;
    const { attempts, baseMs, maxMs, maxRetryAfterMs, budget } = this.#settings;
    const reply = this.#reply;
    if (reply !== null && forbidsRetry(reply)) return 'forbidden';
    if (repeatable === 'idempotent' && !call.idempotent) return 'not-idempotent';
    if (!canSend(call.body)) return 'body';
    if (this.#n >= attempts) return 'attempts';
    // Whoever repeats already has us for its next attempt. What was never sent costs nobody anything.
    const unsent = reply === null && repeatable === 'always';
    if (!unsent && inheritedAttempt(call.scope) > 1) return 'inherited';
    const clock = call.runtime.clock;
    const asked = this.#retryAfterMs();
    if (asked > maxRetryAfterMs) return 'retry-after';
    // On top, not instead: never earlier than asked, and not all at once either.
    const delayMs = asked + fullJitter(this.#n, clock.random(), baseMs, maxMs);
    const now = clock.now();
    if (now + delayMs >= call.scope.deadlineAt) return 'deadline';
    return budget === null || budget.tryWithdraw(now) ? delayMs : 'budget';
  }

  /** What the reply asks for, in ms; 0 if it asks for nothing, Infinity for a quota that does not tell. */
  #retryAfterMs(): number {
    const reply = this.#reply;
    // A replica that is full or leaving speaks for itself; the next attempt goes to another one.
    if (reply === null || isReplicaNack(reply)) return 0;
    const asked = parseRetryAfter(replyHeader(reply, 'retry-after'), this.#call.runtime.clock.wall());
    if (asked !== null) return asked;
    return reply.status === 429 && !this.#settings.statuses.has(429) ? Number.POSITIVE_INFINITY : 0;
  }

  /** Adds to the last error what was tried before it. */
  #explain(last: unknown): unknown {
    let error = last;
    if (error === this.#call.scope.reason) {
      // The reason of a scope may be the reason of a hundred calls: what is said of this one goes onto a copy.
      if (errorCode(error) !== 'ERR_TIMEOUT') return error;
      const { of, ms, endpoint } = error as TimeoutError;
      error = new TimeoutError({ of, ms, service: this.#call.service, endpoint });
    }
    // Another retry layer below this one may have said it already.
    if (!(error instanceof FairleadError) || error.message.includes('(attempt ')) return error;
    const why = this.#refusal === null || this.#refusal === 'attempts' ? '' : `, not repeated: ${this.#refusal}`;
    error.message = `${nameService(error, this.#call.service)} (attempt ${this.#n} of ${this.#settings.attempts}${why})`;
    error.attempts = this.#failed;
    return error;
  }
}

// p-retry takes only what is instanceof Error for a failure, and nothing that is a TypeError.
Object.setPrototypeOf(RetryLoop.prototype, Error.prototype);

function endpointOf(error: unknown): string | null {
  return error instanceof FairleadError ? error.endpoint : null;
}
