/** @module What can be set, under the names of express-rate-limit 8, and what goes without saying. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, systemClock } from '@fairlead/core';
import type { Theirs } from '../theirs.js';
import type { Store } from './memory-store.js';

/** A request as express has it. */
export type Request = IncomingMessage & {
  readonly ip?: string | undefined;
  readonly app?: { get(setting: string): unknown };
};

/** A response as express has it. */
export type Response = ServerResponse & { status(code: number): Response; send(body: unknown): unknown };

/** Hands on to what stands behind. */
export type NextFunction = (error?: unknown) => void;

/** Where a client stands, as handlers find it under `request.rateLimit`. */
export interface RateLimitInfo {
  readonly limit: number;
  readonly used: number;
  readonly remaining: number;
  readonly resetTime: Date | undefined;
  readonly key: string;
}

/** Where the errors go that no client is told of. */
export interface Logger {
  error(error: unknown, message?: string): void;
  warn(error: unknown, message?: string): void;
}

type Soon<T> = T | Promise<T>;

/**
 * The options of express-rate-limit 8, with the defaults of that, and two of ours. Functions may be async.
 */
export interface Options {
  /** Length of a window, in ms. Default 60 000. */
  readonly windowMs: number;
  /** Requests per key and window. Default 5. */
  readonly limit: number | ((request: Theirs, response: Theirs) => Soon<number>);
  /** The older name of `limit`. */
  readonly max?: Options['limit'];
  /** Body of a refusal: whatever `response.send` takes, or a function that gives it. */
  readonly message: unknown;
  /** Status of a refusal. Default 429. */
  readonly statusCode: number;
  /** Whether to send `X-RateLimit-*`. Default true. */
  readonly legacyHeaders: boolean;
  /** The older name of `legacyHeaders`. */
  readonly headers?: boolean;
  /** In which draft's form to send `RateLimit`; true is `draft-6`. Default false. */
  readonly standardHeaders: boolean | 'draft-6' | 'draft-7' | 'draft-8';
  /** Name of the policy in `draft-8`. Default such as `5-in-1min`. */
  readonly identifier: string | ((request: Theirs, response: Theirs) => Soon<string>) | null;
  /** Seconds in `Retry-After`. Default what is left of the window. */
  readonly retryAfter: number | ((request: Theirs, response: Theirs) => Soon<number>) | null;
  /** Under what name the request has its {@link RateLimitInfo}. Default `rateLimit`. */
  readonly requestPropertyName: string;
  /** Whether to take back what failed requests have counted. Default false. */
  readonly skipFailedRequests: boolean;
  /** Whether to take back what successful requests have counted. Default false. */
  readonly skipSuccessfulRequests: boolean;
  /** Whom a request counts against. Default the address, by `ipKeyGenerator`. */
  readonly keyGenerator: ((request: Theirs, response: Theirs) => Soon<string>) | null;
  /** How many bits of an IPv6 address tell clients apart, or false for all of them. Default 56. */
  readonly ipv6Subnet: number | false | ((request: Theirs, response: Theirs) => Soon<number | false>);
  /** Answers who is over the limit. Default `message` with `statusCode`. */
  readonly handler: ((request: Theirs, response: Theirs, next: NextFunction, options: Options) => unknown) | null;
  /** Whether a request does not count. Default none. */
  readonly skip: (request: Theirs, response: Theirs) => Soon<boolean>;
  /** What is a success. Default a status below 400. */
  readonly requestWasSuccessful: (request: Theirs, response: Theirs) => Soon<boolean>;
  /** Who counts. Default a {@link MemoryStore} of this limit's own. */
  readonly store: Store | null;
  /** Which warnings to log: all, none, or by name. Default all. */
  readonly validate: boolean | Readonly<Record<string, boolean>>;
  /** Whether to let requests pass while the store fails. Default false: the error goes to `next`. */
  readonly passOnStoreError: boolean;
  /** Where errors and warnings go. Default the console. */
  readonly logger: Logger;
  /** Ours: most keys that are counted apart; see {@link MemoryStore}. Default 100 000. */
  readonly maxKeys: number;
  /** Ours: where the time is read. Default the real clock. */
  readonly clock: Clock;
}

/** The defaults of {@link Options}. */
export const defaults: Readonly<Options> = Object.freeze({
  windowMs: 60_000,
  limit: 5,
  message: 'Too many requests, please try again later.',
  statusCode: 429,
  legacyHeaders: true,
  standardHeaders: false,
  identifier: null,
  retryAfter: null,
  requestPropertyName: 'rateLimit',
  skipFailedRequests: false,
  skipSuccessfulRequests: false,
  keyGenerator: null,
  ipv6Subnet: 56,
  handler: null,
  skip: () => false,
  requestWasSuccessful: (_request: Theirs, response: Theirs) => response.statusCode < 400,
  store: null,
  validate: true,
  passOnStoreError: false,
  logger: {
    error: (error, message) => console.error(message ?? '', error),
    warn: (error, message) => console.warn(message ?? '', error),
  },
  maxKeys: 100_000,
  clock: systemClock,
} satisfies Options);

/** Fills in the defaults; what is undefined counts as not given. */
export function resolve(given: Partial<Options>): Options {
  const { max, headers } = given;
  const merged: Record<string, unknown> = { ...defaults };
  if (max !== undefined) merged.limit = max;
  if (headers !== undefined) merged.legacyHeaders = headers;
  for (const [name, value] of Object.entries(given)) if (value !== undefined) merged[name] = value;
  if (merged.standardHeaders === true) merged.standardHeaders = 'draft-6';
  return merged as unknown as Options;
}
