/** @module One question to Redis, that ends once: by an answer, by a failure, by its timeout, or with its scope. */
import { type Scope, type ScopeWatcher, Timer } from '@fairlead/core';
import type { Division } from './ahead.js';
import {
  type BucketState,
  bucketScript,
  bucketSha,
  parseBucketState,
  type RedisScripts,
  scriptFailure,
} from './script.js';
import type { FleetVerdict } from './verdict.js';

/** How a question ended. `wrong-key` is a failure of this key alone. */
export type Ending = BucketState | 'wrong-key' | 'down';

/** What a question is about. */
export interface Subject {
  readonly key: string;
  /** Units. */
  readonly cost: number;
  /** Units asked for beyond the cost. */
  readonly ahead: number;
  readonly division: Division;
  /** See `Contact.enter`. */
  readonly ticket: number;
  /** When it is asked, in monotonic ms. */
  readonly at: number;
}

/** Whom a question is asked for. Exactly one of the two is called, once; it settles the question's promise. */
export interface Asker {
  ended(question: Question, ending: Ending): void;
  canceled(question: Question, reason: unknown): void;
}

/**
 * A question is its own timer and its own watcher, so that waiting allocates nothing more. What comes late is
 * dropped.
 */
export class Question extends Timer implements ScopeWatcher {
  #over = false;

  constructor(
    readonly asker: Asker,
    readonly subject: Subject,
    readonly scope: Scope,
    readonly resolve: (verdict: FleetVerdict) => void,
    readonly reject: (reason: unknown) => void,
  ) {
    super();
  }

  /**
   * @param key the whole name of the key
   * @param numbers depth, spend, missing and step, in µs
   */
  ask(redis: RedisScripts, timeoutMs: number, key: string, numbers: readonly [number, number, number, number]): void {
    const { at, ahead } = this.subject;
    this.scope.clock.arm(this, at + timeoutMs);
    this.scope.watch(this);
    const answered = (reply: unknown): void => this.#end(parseBucketState(reply) ?? 'down');
    const failed = (error: unknown): void => {
      const failure = scriptFailure(error);
      this.#end(failure === 'unknown-script' ? 'down' : failure);
    };
    try {
      Promise.resolve(redis.evalsha(bucketSha, 1, key, ...numbers, ahead)).then(answered, (error: unknown) => {
        if (scriptFailure(error) !== 'unknown-script') return failed(error);
        // Nobody waits any more: units must not be taken for nobody.
        if (this.#over) return;
        try {
          Promise.resolve(redis.eval(bucketScript, 1, key, ...numbers, ahead)).then(answered, failed);
        } catch (thrown) {
          failed(thrown);
        }
      });
    } catch (thrown) {
      failed(thrown);
    }
  }

  /** @internal Time is up. */
  fire(): void {
    this.#end('down');
  }

  onCancel(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.scope.clock.disarm(this);
    this.asker.canceled(this, reason);
  }

  #end(ending: Ending): void {
    if (this.#over) return;
    this.#over = true;
    this.scope.clock.disarm(this);
    this.scope.unwatch(this);
    this.asker.ended(this, ending);
  }
}
