/** @module One watch of a server of target groups: asks again and again, and keeps what was answered last. */
import { type Endpoint, type ResolverUpdate, type Runtime, type Scope, type ScopeWatcher, Timer } from '@fairlead/core';
import { readDocument } from '../file/document.js';
import type { Watch } from '../watches.js';
import { HttpSdError, type HttpSdQuestion, poll } from './http-sd-poll.js';

/** Whom to ask for what, and when. */
export interface HttpSdWatchOptions extends HttpSdQuestion {
  /** Which service, in an answer with several. */
  readonly service: string | null;
  /** The shortest wait after a failure, in ms. */
  readonly minBackoffMs: number;
  /** The longest wait after failures, in ms. */
  readonly maxBackoffMs: number;
}

/** Its timer is the next question, so there is never more than one under way. */
export class HttpSdWatch extends Timer implements ScopeWatcher, Watch {
  override background = true;
  readonly #question: HttpSdWatchOptions;
  readonly #name: string;
  readonly #tell: (update: ResolverUpdate) => void;
  readonly #scope: Scope;
  readonly #runtime: Runtime;
  /** What was answered last, and the tag of that answer. */
  #known: readonly Endpoint[] | null = null;
  #tag: string | null = null;
  #failures = 0;

  constructor(
    question: HttpSdWatchOptions,
    name: string,
    tell: (update: ResolverUpdate) => void,
    scope: Scope,
    runtime: Runtime,
  ) {
    super();
    this.#question = question;
    this.#name = name;
    this.#tell = tell;
    this.#scope = scope;
    this.#runtime = runtime;
    scope.watch(this);
  }

  fire(): void {
    if (!this.#scope.canceled) void this.#round();
  }

  refresh(): void {
    if (this.armed && this.#failures === 0) this.#again(0);
  }

  /** @internal The question under way is a child of the scope: it has ended already. */
  onCancel(): void {
    this.#runtime.clock.disarm(this);
  }

  async #round(): Promise<void> {
    try {
      const answer = await poll(this.#question, this.#tag, this.#scope, this.#runtime);
      if (this.#scope.canceled) return;
      // Kept together, and only if all of it is right: a tag without its endpoints would never be answered in full again.
      if (answer !== null) {
        this.#known = readDocument(answer.bytes, this.#question.service, 'the answer');
        this.#tag = answer.tag;
      }
      this.#answered(this.#known as readonly Endpoint[]);
    } catch (error) {
      if (!this.#scope.canceled) this.#failed(error as Error);
    }
  }

  /** Told although it may be no news: that it still holds is worth to be known. */
  #answered(endpoints: readonly Endpoint[]): void {
    this.#failures = 0;
    this.#again(this.#question.refreshMs * (0.9 + 0.2 * this.#runtime.clock.random()));
    this.#tell({ endpoints });
  }

  #failed(cause: Error): void {
    const { minBackoffMs, maxBackoffMs } = this.#question;
    const capMs = Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(this.#failures++, 31));
    // Full jitter (Brooker, 2015), but never at once: a server that is down should not be asked in a loop.
    const backoffMs = Math.max(minBackoffMs / 10, this.#runtime.clock.random() * capMs);
    const wantedMs = cause instanceof HttpSdError ? (cause.retryAfterMs ?? 0) : 0;
    this.#again(Math.min(backoffMs + wantedMs, maxBackoffMs));
    this.#tell({ error: new Error(`${this.#name}: ${cause.message}`, { cause }) });
  }

  #again(ms: number): void {
    const { clock } = this.#runtime;
    clock.arm(this, clock.now() + ms);
  }
}
