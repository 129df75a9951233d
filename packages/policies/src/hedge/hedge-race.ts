/** @module One call that may be out several times at once: who is out, who has won, who is canceled. */
import {
  type Call,
  CanceledError,
  discard,
  errorCode,
  type Handler,
  judge,
  Outcome,
  type Reply,
  type Scope,
  Timer,
} from '@fairlead/core';
import type { HedgePair } from './hedge-pairs.js';
import type { HedgeRules } from './hedge-rules.js';

/**
 * Set on the attributes of every attempt that was sent in addition to another, so that the layers below can tell. A
 * balancer may prefer a zone that none of `call.tried` is in.
 */
export const hedged: unique symbol = Symbol.for('fairlead.hedged') as never;

/** An attempt that was sent in addition to the first. */
interface Extra {
  readonly scope: Scope;
  readonly attempt: number;
  /** It has failed, and was counted as lost. */
  failed: boolean;
}

/** Whoever waits for the others after the first attempt has failed. */
interface Waiting {
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

/**
 * One call. It is its own timer, so that a call which is answered in time costs this object, the scope by which its only
 * attempt could have been canceled, and nothing else.
 *
 * The promise of the call is that of its first attempt: if another one wins, the first is canceled, and says so with the
 * winner in its hands. As everywhere in a stack, the layers below are expected to hear a cancellation.
 */
export class HedgeRace extends Timer {
  readonly #rules: HedgeRules;
  readonly #call: Call;
  readonly #next: Handler;
  readonly #first: Scope;
  #extras: Extra[] | null = null;
  /** Attempts that are neither answered nor failed. */
  #out = 1;
  #attempt: number;
  #winner: Reply | null = null;
  #waiting: Waiting | null = null;
  /** The pair that this late call began. */
  #late: HedgePair | null = null;
  /** The pair that this call is the second of. */
  #second: HedgePair | null = null;
  /** Somebody has won, or all have failed. */
  #over = false;

  constructor(rules: HedgeRules, call: Call, next: Handler) {
    super();
    this.#rules = rules;
    this.#call = call;
    this.#next = next;
    this.#first = call.scope.child();
    this.#attempt = call.attempt;
  }

  begin(): Promise<Reply> {
    const call = this.#call;
    const { pairs, delayMs } = this.#rules;
    if (pairs.open !== null) {
      this.#second = pairs.open;
      pairs.open = null;
    }
    call.runtime.clock.arm(this, call.at + delayMs);
    return this.#next(call.withScope(this.#first)).then(
      (reply) => this.#firstAnswered(reply),
      (error: unknown) => this.#firstFailed(error),
    );
  }

  /** The time has come for another attempt. */
  fire(): void {
    const call = this.#call;
    const { clock, on } = call.runtime;
    const now = clock.now();
    if (call.scope.expired(now)) return;
    const { options, delayMs } = this.#rules;
    if (options.mode === 'shadow') {
      if (this.#rules.promising) {
        call.runtime.on?.({ type: 'policy.shadowed', service: call.service, policy: 'hedge', would: 'send' });
      }
      this.#late = this.#rules.pairs.late(now - call.at);
      return;
    }
    if (!this.#rules.admits(call, now)) {
      // With one hedge out the time that the first would have taken is not known in the end.
      if (this.#extras === null) this.#late = this.#rules.pairs.late(now - call.at);
      return;
    }
    // What was sent to an endpoint was counted there; in a stack without a balancer, only here.
    this.#attempt = Math.max(this.#attempt, call.tried.sends) + 1;
    if (on !== undefined) {
      const { service } = call;
      call.runtime.on?.({ type: 'hedge.sent', service, attempt: this.#attempt, afterMs: now - call.at });
    }
    const extra: Extra = { scope: call.scope.child(), attempt: this.#attempt, failed: false };
    (this.#extras ??= []).push(extra);
    this.#out++;
    if (this.#extras.length + 1 < options.attempts) clock.arm(this, now + delayMs);
    void this.#send(extra, now);
  }

  async #send(extra: Extra, now: number): Promise<void> {
    const call = this.#call;
    const { scope, attempt } = extra;
    let reply: Reply;
    try {
      const attributes = { ...call.attributes, [hedged]: true };
      reply = await this.#next(call.with({ scope, attempt, at: now, attributes }));
    } catch (error) {
      this.#out--;
      scope.close();
      if (!this.#over) this.#extraFailed(extra, null, error);
      return;
    }
    this.#out--;
    if (this.#over) discard(reply);
    else if (this.#isGood(reply)) this.#win(reply, extra);
    else this.#extraFailed(extra, reply, null);
  }

  #firstAnswered(reply: Reply): Reply | Promise<Reply> {
    this.#out--;
    if (this.#winner !== null) {
      // Both at the same moment.
      discard(reply);
      return this.#winner;
    }
    if (this.#isGood(reply)) return this.#win(reply, null);
    if (this.#out > 0) {
      discard(reply);
      this.#first.close();
      return this.#others();
    }
    this.#end();
    reply.onEnd(this.#first);
    return reply;
  }

  #firstFailed(error: unknown): Reply | Promise<Reply> {
    this.#out--;
    this.#first.close();
    if (this.#winner !== null) return this.#winner;
    const call = this.#call;
    if (errorCode(error) === 'ERR_TIMEOUT') {
      const now = call.runtime.clock.now();
      this.#rules.took(now - call.at, now);
      this.#late?.lateTook(now - call.at, null);
    }
    if (this.#out > 0 && !call.scope.canceled) return this.#others();
    this.#end();
    throw error;
  }

  /** The first attempt has failed; whoever is out may still be good. */
  #others(): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #extraFailed(extra: Extra, reply: Reply | null, error: unknown): void {
    const { credit } = this.#rules;
    extra.failed = true;
    if (!this.#call.scope.canceled) {
      credit.lost();
      if (isPushback(reply, error)) credit.pushedBack();
    }
    const waiting = this.#waiting;
    if (waiting === null || this.#out > 0) {
      if (reply !== null) discard(reply);
      extra.scope.close();
      return;
    }
    // The last one: what it gives is what the call gives.
    this.#end();
    if (reply === null) waiting.reject(error);
    else {
      reply.onEnd(extra.scope);
      waiting.resolve(reply);
    }
  }

  #win(reply: Reply, extra: Extra | null): Reply {
    this.#winner = reply;
    this.#end();
    const call = this.#call;
    const ms = reply.at - call.at;
    this.#rules.took(ms, reply.at);
    this.#late?.lateTook(ms, reply.endpoint);
    this.#second?.nextTook(ms, reply.endpoint);
    if (this.#extras !== null) this.#dismiss(this.#extras, extra);
    reply.onEnd(extra === null ? this.#first : extra.scope);
    if (extra === null) return reply;
    call.runtime.on?.({ type: 'hedge.won', service: call.service, attempt: extra.attempt });
    if (this.#waiting === null) this.#first.cancel(superseded());
    else this.#waiting.resolve(reply);
    return reply;
  }

  #dismiss(extras: readonly Extra[], winner: Extra | null): void {
    const { credit, pairs } = this.#rules;
    // However many there were: a second hedge that lost to the first is no sign that they are of no use.
    pairs.count(winner !== null);
    for (const extra of extras) {
      if (extra === winner) credit.won();
      else if (!extra.failed) {
        credit.lost();
        extra.scope.cancel(superseded());
      }
    }
  }

  #isGood(reply: Reply): boolean {
    return !this.#rules.statuses.has(reply.status);
  }

  #end(): void {
    this.#over = true;
    this.#call.runtime.clock.disarm(this);
  }
}

/** The layers above and the caller never see it. */
function superseded(): CanceledError {
  return new CanceledError({ message: 'another attempt of the same call was answered first' });
}

/** Whether the service, or what guards it, has asked for less. */
function isPushback(reply: Reply | null, error: unknown): boolean {
  if (reply !== null) return judge(new Outcome(reply, null, 0)) === 'overload';
  const code = errorCode(error);
  return code === 'ERR_REJECTED' || code === 'ERR_NO_ENDPOINT';
}
