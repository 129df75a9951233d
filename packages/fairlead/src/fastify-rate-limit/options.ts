/** @module What can be set, under the names of @fastify/rate-limit 11, for all routes and for each. */
import { type Clock, ConfigError, systemClock } from '@fairlead/core';
import type { Theirs } from '../theirs.js';
import { parseDuration } from './duration.js';

type Soon<T> = T | Promise<T>;

/** What a refusal is made of. */
export interface RefusalContext {
  /** 429, or 403 for who is banned. */
  readonly statusCode: number;
  readonly ban: boolean;
  readonly max: number;
  /** Until the window ends, in ms. */
  readonly ttl: number;
  /** The same in words: `1 minute`. */
  readonly after: string;
}

/** Options of a route, in `config.rateLimit`, or of `app.rateLimit()`. Functions may be async. */
export interface RouteRateLimitOptions {
  /** Requests per key and window. Default 1 000. */
  readonly max?: number | ((request: Theirs, key: string) => Soon<number>);
  /** Length of a window: ms, or text such as `1 minute`. Default 60 000. */
  readonly timeWindow?: number | string | ((request: Theirs, key: string) => Soon<number>);
  /** Keys that are not limited, or a function that knows them. Default none. */
  readonly allowList?: readonly string[] | ((request: Theirs, key: string) => Soon<boolean>) | null;
  /** Whom a request counts against. Default the address. */
  readonly keyGenerator?: (request: Theirs) => Soon<string | number>;
  /** How many bits of an IPv6 address tell clients apart. Default 64. */
  readonly ipv6Subnet?: number;
  /** After so many refusals in a window, they are 403. Default -1: never. */
  readonly ban?: number;
  /** When a request is counted. Default `onRequest`. */
  readonly hook?: 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler';
  /** Most keys that are counted apart. Default 5 000. */
  readonly cache?: number;
  /** Whether each refusal begins the window anew. Default false. */
  readonly continueExceeding?: boolean;
  /** Whether each refusal doubles what is told of the time to wait. Default false. */
  readonly exponentialBackoff?: boolean;
  /** Tells routes apart that share a key. */
  readonly groupId?: string;
  /** Makes the error that a refusal is thrown as. */
  readonly errorResponseBuilder?: (request: Theirs, context: RefusalContext) => unknown;
  readonly onExceeding?: (request: Theirs, key: string) => void;
  readonly onExceeded?: (request: Theirs, key: string) => void;
  readonly onBanReach?: (request: Theirs, key: string) => void;
}

/** Options of the plugin. */
export interface RateLimitPluginOptions extends RouteRateLimitOptions {
  /** Whether routes are limited that say nothing about it. Default true. */
  readonly global?: boolean;
  /** Whether headers are called `ratelimit-*` rather than `x-ratelimit-*`. Default false. */
  readonly enableDraftSpec?: boolean;
  /** Which headers a refusal has, by name. Default all. */
  readonly addHeaders?: Readonly<Record<string, boolean>>;
  /** Which headers other answers have, by name. Default all. */
  readonly addHeadersOnExceeding?: Readonly<Record<string, boolean>>;
  /** Without a meaning here, since nothing can fail. */
  readonly skipOnError?: boolean;
  /** Ours: where the time is read. Default the real clock. */
  readonly clock?: Clock;
}

/** All of them, with what goes without saying. */
export type Settings = Required<Omit<RateLimitPluginOptions, 'keyGenerator' | 'errorResponseBuilder' | 'timeWindow'>> &
  Pick<RateLimitPluginOptions, 'keyGenerator' | 'errorResponseBuilder'> & {
    readonly timeWindow: number | ((request: Theirs, key: string) => Soon<number>);
  };

const nothing = (): void => {};

const defaults: Settings = Object.freeze({
  max: 1_000,
  timeWindow: 60_000,
  allowList: null,
  ipv6Subnet: 64,
  ban: -1,
  hook: 'onRequest',
  cache: 5_000,
  continueExceeding: false,
  exponentialBackoff: false,
  groupId: '',
  onExceeding: nothing,
  onExceeded: nothing,
  onBanReach: nothing,
  global: true,
  enableDraftSpec: false,
  addHeaders: {},
  addHeadersOnExceeding: {},
  skipOnError: false,
  clock: systemClock,
} satisfies Settings);

/**
 * Puts `given` over `before`.
 * @throws ConfigError if it asks for a store, which limits of this kind do not have, or names a time that is none
 */
export function settingsOf(given: RateLimitPluginOptions, before: Settings = defaults): Settings {
  const merged: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(given)) if (value !== undefined) merged[name] = value;
  const { timeWindow, store, redis } = merged as { timeWindow: unknown; store?: unknown; redis?: unknown };
  if (store !== undefined || redis !== undefined) {
    const expected = 'no store: for a limit that a fleet shares, use fleetBuckets of @fairlead/redis with guard()';
    throw new ConfigError([{ name: `rateLimit.${store === undefined ? 'redis' : 'store'}`, expected }]);
  }
  if (typeof timeWindow === 'string') {
    const ms = parseDuration(timeWindow);
    if (ms === null) {
      throw new ConfigError([
        { name: 'rateLimit.timeWindow', value: timeWindow, expected: 'ms, or such as "1 minute"' },
      ]);
    }
    merged.timeWindow = ms;
  }
  return merged as unknown as Settings;
}
