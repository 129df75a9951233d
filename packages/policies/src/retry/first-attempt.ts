/**
 * @module How the first attempt of a call went, and whether others follow. Nearly always none does; then this object is all
 * that retries cost: p-retry is entered only once an attempt has failed.
 */
import { AsyncResource } from 'node:async_hooks';
import { type Call, type Dispatch, giveUp, handlerOf, type Receiver, type Reply, tellOf } from '@fairlead/core';
import { payReplays, RetryLoop, type RetrySettings } from './retry-loop.js';
import { forbidsRetry, type Repeatable, repeatableError, repeatableReply } from './retry-reason.js';
import { isUnderWay, whole } from './whole-reply.js';

const manual = { requireManualDestroy: true } as const;

/**
 * Told how a first attempt went. It remembers the async context of its caller: what happens is told in some other, and
 * instrumentation looks for what a later attempt is part of.
 */
export class FirstAttempt extends AsyncResource implements Receiver {
  readonly #call: Call;
  readonly #next: Dispatch;
  readonly #settings: RetrySettings;
  readonly #receiver: Receiver;

  constructor(call: Call, next: Dispatch, settings: RetrySettings, receiver: Receiver) {
    super('fairlead.attempt', manual);
    this.#call = call;
    this.#next = next;
    this.#settings = settings;
    this.#receiver = receiver;
  }

  onReply(reply: Reply): void {
    const { mode, suspicious, statuses, wholeReplyBytes } = this.#settings;
    this.#payReplays();
    if (reply.status < suspicious) {
      if (mode !== 'shadow' && isUnderWay(reply, this.#call, wholeReplyBytes)) this.#await(reply);
      else this.#pass(reply);
      return;
    }
    const repeatable = repeatableReply(reply, statuses);
    if (repeatable !== 'never') {
      this.#repeat(reply, null, repeatable);
      return;
    }
    // Nothing that we would repeat, but what we answer with in turn may be what our caller does.
    if (mode === 'on' && forbidsRetry(reply)) giveUp(this.#call.scope);
    this.#pass(reply);
  }

  onError(error: unknown): void {
    this.#payReplays();
    const repeatable = repeatableError(error);
    if (repeatable !== 'never') this.#repeat(null, error, repeatable);
    else {
      this.emitDestroy();
      this.#receiver.onError(error);
    }
  }

  /** Nearly every small body has come with its head; this one has not. */
  #await(reply: Reply): void {
    whole(reply, this.#call.runtime.clock).then(
      () => this.#pass(reply),
      (error: unknown) => {
        const repeatable = repeatableError(error);
        // Also a broken reply is a reply: who reads it finds out.
        if (repeatable === 'never') this.#pass(reply);
        else this.#repeat(null, error, repeatable, reply);
      },
    );
  }

  #pass(reply: Reply): void {
    this.emitDestroy();
    this.#receiver.onReply(reply);
  }

  #payReplays(): void {
    const { tried, at } = this.#call;
    if (tried.replays) payReplays(this.#settings.budget, tried, at);
  }

  /** @param broken the reply of an attempt that failed in the middle of its body */
  #repeat(reply: Reply | null, error: unknown, repeatable: Repeatable, broken: Reply | null = null): void {
    const call = this.#call;
    const loop = new RetryLoop(call, handlerOf('attempt', this.#next), this.#settings);
    // In a turn of its own: whoever told us may be in the middle of telling, of a reply that is about to be thrown away.
    const goOn = async (): Promise<Reply> => {
      await null;
      return this.#settings.mode === 'on'
        ? loop.after(reply, error, repeatable, broken)
        : loop.pretend(reply, error, repeatable);
    };
    this.runInAsyncScope(tellOf, null, this.#receiver, goOn, call);
    this.emitDestroy();
  }
}
