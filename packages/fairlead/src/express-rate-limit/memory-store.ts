/** @module Counts hits per key in fixed windows, in bounded memory. */
import { type Clock, systemClock } from '@fairlead/core';

/** What a store knows of a key. */
export interface ClientRateLimitInfo {
  totalHits: number;
  resetTime: Date | undefined;
}

/** Counts for {@link rateLimit}: the interface of the stores of express-rate-limit. */
export interface Store {
  init?(options: { readonly windowMs: number }): unknown;
  get?(key: string): ClientRateLimitInfo | undefined | Promise<ClientRateLimitInfo | undefined>;
  increment(key: string): ClientRateLimitInfo | Promise<ClientRateLimitInfo>;
  decrement(key: string): unknown;
  resetKey(key: string): unknown;
  resetAll?(): unknown;
  shutdown?(): unknown;
  readonly localKeys?: boolean;
  readonly prefix?: string;
}

interface Window extends ClientRateLimitInfo {
  resetTime: Date;
  endsAt: number;
}

/**
 * Windows by key, which begin with the first hit. At most `maxKeys` of them: when there is no room, one that has ended may
 * go, since a new one would be just like it; else the new key shares one more window with all the others in its position. So
 * neither does a flood of keys make memory grow, nor does it free a key that has used up its hits. No timer.
 */
export class MemoryStore implements Store {
  readonly localKeys = true;
  /** In the order in which they end, because all are equally long. */
  readonly #byKey = new Map<string, Window>();
  #overflow: Window | null = null;
  #windowMs = 60_000;

  constructor(
    readonly maxKeys: number = 100_000,
    readonly clock: Clock = systemClock,
  ) {}

  /** How many keys have a window of their own. */
  get size(): number {
    return this.#byKey.size;
  }

  init({ windowMs }: { readonly windowMs: number }): void {
    this.#windowMs = windowMs;
  }

  get(key: string): ClientRateLimitInfo | undefined {
    const window = this.#byKey.get(key);
    return window !== undefined && window.endsAt > this.clock.wall() ? window : undefined;
  }

  increment(key: string): ClientRateLimitInfo {
    const now = this.clock.wall();
    const window = this.#byKey.get(key);
    if (window !== undefined && window.endsAt > now) {
      window.totalHits++;
      return window;
    }
    // At the end of the line again, where the order has it.
    if (window !== undefined) this.#byKey.delete(key);
    return this.#begin(key, now);
  }

  decrement(key: string): void {
    const window = this.#byKey.get(key) ?? this.#overflow;
    if (window !== null && window.totalHits > 0) window.totalHits--;
  }

  resetKey(key: string): void {
    this.#byKey.delete(key);
  }

  resetAll(): void {
    this.#byKey.clear();
    this.#overflow = null;
  }

  shutdown(): void {
    this.resetAll();
  }

  #begin(key: string, now: number): Window {
    if (this.#byKey.size >= this.maxKeys) {
      for (const [oldest, { endsAt }] of this.#byKey) {
        if (endsAt > now) return this.#share(now);
        this.#byKey.delete(oldest);
        break;
      }
    }
    const window = this.#window(now);
    this.#byKey.set(key, window);
    return window;
  }

  #share(now: number): Window {
    if (this.#overflow === null || this.#overflow.endsAt <= now) this.#overflow = this.#window(now);
    else this.#overflow.totalHits++;
    return this.#overflow;
  }

  #window(now: number): Window {
    const endsAt = now + this.#windowMs;
    return { totalHits: 1, endsAt, resetTime: new Date(endsAt) };
  }
}
