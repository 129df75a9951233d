/** @module Counts requests per key in windows whose length may differ from request to request, in bounded memory. */
import type { Clock } from '@fairlead/core';

/** What is known of a key: requests in its window, and how long that lasts, in ms. */
export interface Count {
  readonly current: number;
  readonly ttl: number;
}

interface Window {
  current: number;
  beganAt: number;
  /** At which it may be forgotten. */
  endsAt: number;
}

/** What happens to the window of who goes on although it is over its limit. */
export type Punishment = 'none' | 'restart' | 'double';

/** Windows looked at for one that has ended, per new key. */
const LOOKS = 8;

/**
 * At most `maxKeys` windows. When there is no room, one that has ended may go, else the new key shares one more with all the
 * others in its position: a flood of keys frees nobody.
 */
export class Windows {
  readonly #byKey = new Map<string, Window>();
  readonly #overflow: Window = { current: 0, beganAt: 0, endsAt: 0 };

  constructor(
    readonly maxKeys: number,
    readonly punishment: Punishment,
    readonly clock: Clock,
  ) {}

  /** How many keys have a window of their own. */
  get size(): number {
    return this.#byKey.size;
  }

  /** Counts a request. */
  count(key: string, windowMs: number, max: number): Count {
    const now = this.clock.wall();
    const window = this.#byKey.get(key) ?? this.#admit(key, now);
    if (window.current === 0 || window.beganAt + windowMs <= now) {
      return { current: begin(window, now, windowMs), ttl: windowMs };
    }
    window.current++;
    const over = window.current - max;
    if (over <= 0 || this.punishment === 'none') {
      return { current: window.current, ttl: windowMs - (now - window.beganAt) };
    }
    const ttl =
      this.punishment === 'restart' ? windowMs : Math.min(windowMs * 2 ** (over - 1), Number.MAX_SAFE_INTEGER);
    window.beganAt = now;
    window.endsAt = now + windowMs;
    return { current: window.current, ttl };
  }

  /** Looks, and counts nothing. */
  read(key: string, windowMs: number): Count {
    const now = this.clock.wall();
    const window = this.#byKey.get(key);
    if (window === undefined || window.beganAt + windowMs <= now) return { current: 0, ttl: 0 };
    return { current: window.current, ttl: windowMs - (now - window.beganAt) };
  }

  #admit(key: string, now: number): Window {
    const windows = this.#byKey;
    if (windows.size >= this.maxKeys) {
      let looks = LOOKS;
      for (const [name, window] of windows) {
        windows.delete(name);
        if (window.endsAt <= now) break;
        // To the back, so that the next search meets others.
        windows.set(name, window);
        if (--looks === 0) return this.#overflow;
      }
      if (windows.size >= this.maxKeys) return this.#overflow;
    }
    const window: Window = { current: 0, beganAt: now, endsAt: now };
    windows.set(key, window);
    return window;
  }
}

function begin(window: Window, now: number, windowMs: number): number {
  window.beganAt = now;
  window.endsAt = now + windowMs;
  window.current = 1;
  return 1;
}
