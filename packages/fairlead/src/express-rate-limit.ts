/**
 * @module `fairlead/express-rate-limit`: for applications that use express-rate-limit 8 and want to change no more than the
 * import. What differs is in docs/express-rate-limit.md.
 */
import { addressKey, normalAddress } from '@fairlead/server';
import { policyName, secondsLeft, tellDraft, tellDraft8, tellLegacy } from './express-rate-limit/fields.js';
import { MemoryStore, type Store } from './express-rate-limit/memory-store.js';
import {
  type NextFunction,
  type Options,
  type RateLimitInfo,
  type Request,
  type Response,
  resolve,
} from './express-rate-limit/options.js';
import { Warnings } from './express-rate-limit/warnings.js';

export { type ClientRateLimitInfo, MemoryStore, type Store } from './express-rate-limit/memory-store.js';
export type { Logger, NextFunction, Options, RateLimitInfo, Request, Response } from './express-rate-limit/options.js';

/** A middleware for express, and what can be asked about its keys. */
export interface RateLimitRequestHandler {
  (request: Request, response: Response, next: NextFunction): Promise<void>;
  /** Forgets what `key` has used. */
  resetKey(key: string): unknown;
  /** What `key` has used, if the store can say. */
  getKey(key: string): ReturnType<NonNullable<Store['get']>>;
}

/**
 * The key of an address: an IPv4 one itself, also where it comes mapped into IPv6; of an IPv6 one its network of
 * `ipv6Subnet` bits (default 56; false for all of it).
 */
export function ipKeyGenerator(ip: string, ipv6Subnet: number | false = 56): string {
  const normal = normalAddress(ip);
  if (normal === null || !normal.includes(':')) return normal ?? ip;
  if (ipv6Subnet === false) return ip;
  const [network, bits] = addressKey(normal, ipv6Subnet).split('/') as [string, string];
  // In the one short form that everybody writes (RFC 5952), since stores may hold keys of both libraries.
  return `${new URL(`http://[${network}]`).hostname.slice(1, -1)}/${bits}`;
}

class Limit {
  readonly options: Options;
  readonly store: Store;
  readonly #warnings: Warnings;

  constructor(given: Partial<Options>) {
    this.options = resolve(given);
    const { store, maxKeys, clock, logger } = this.options;
    this.#warnings = new Warnings(this.options);
    this.#warnings.knownOptions(given);
    this.store = store ?? new MemoryStore(maxKeys, clock);
    const { increment, decrement, resetKey } = this.store as Partial<Store>;
    if ([increment, decrement, resetKey].some((method) => typeof method !== 'function')) {
      throw new TypeError('rateLimit.store: expected a store with increment, decrement and resetKey');
    }
    try {
      const begun = this.store.init?.(this.options);
      Promise.resolve(begun).catch((error) => logger.error(error, 'rate limit: the store did not begin'));
    } catch (error) {
      logger.error(error, 'rate limit: the store did not begin');
    }
  }

  async handle(request: Request, response: Response, next: NextFunction): Promise<void> {
    const { options } = this;
    if (await options.skip(request, response)) return next();
    const key = await this.#keyOf(request, response);
    let counted: { totalHits: number; resetTime: Date | undefined };
    try {
      const { totalHits, resetTime } = await this.store.increment(key);
      counted = { totalHits, resetTime };
    } catch (error) {
      if (!options.passOnStoreError) throw error;
      options.logger.error(error, 'rate limit: the store fails, and the request passes');
      return next();
    }
    const { totalHits: used, resetTime } = counted;
    const limit = await said(options.limit, request, response);
    this.#warnings.limit(limit);
    const info: RateLimitInfo = { limit, used, remaining: Math.max(limit - used, 0), resetTime, key };
    // What it was called before, which is not to be copied on.
    Object.defineProperty(info, 'current', { value: used });
    (request as unknown as Record<string, unknown>)[options.requestPropertyName] = info;
    await this.#tell(request, response, info);
    if (options.skipFailedRequests || options.skipSuccessfulRequests) this.#takeBack(request, response, info);
    if (used <= limit) return next();
    await this.#refuse(request, response, next, info);
  }

  async #keyOf(request: Request, response: Response): Promise<string> {
    const { keyGenerator, ipv6Subnet } = this.options;
    if (keyGenerator !== null) return keyGenerator(request, response);
    this.#warnings.address(request);
    const ip = request.ip ?? '';
    return ip.includes(':') ? ipKeyGenerator(ip, await said(ipv6Subnet, request, response)) : ip;
  }

  async #tell(request: Request, response: Response, info: RateLimitInfo): Promise<void> {
    const { options } = this;
    if (response.headersSent) return;
    const standing = { info, options, seconds: secondsLeft(info, options) };
    if (options.legacyHeaders) tellLegacy(response, standing);
    if (options.standardHeaders === 'draft-8') {
      const { identifier, windowMs } = options;
      const name = identifier ?? policyName(info.limit, windowMs);
      tellDraft8(response, standing, await said(name, request, response));
    } else if (options.standardHeaders !== false) tellDraft(response, standing);
  }

  async #refuse(request: Request, response: Response, next: NextFunction, info: RateLimitInfo): Promise<void> {
    const { options } = this;
    const { handler, message, statusCode, retryAfter, legacyHeaders, standardHeaders } = options;
    if ((legacyHeaders || standardHeaders !== false) && !response.headersSent) {
      const seconds = retryAfter === null ? secondsLeft(info, options) : await said(retryAfter, request, response);
      response.setHeader('Retry-After', String(seconds));
    }
    if (handler !== null) {
      await handler(request, response, next, options);
      return;
    }
    response.status(statusCode);
    const body = await said(message, request, response);
    if (!response.writableEnded) response.send(body);
  }

  /** Once it is known how the request went, unless its window has ended by then. */
  #takeBack(request: Request, response: Response, { key, resetTime }: RateLimitInfo): void {
    const { skipFailedRequests, skipSuccessfulRequests, requestWasSuccessful, clock, logger } = this.options;
    let open = true;
    const end = async (success: boolean | Promise<boolean>): Promise<void> => {
      if (!open) return;
      open = false;
      try {
        if (!((await success) ? skipSuccessfulRequests : skipFailedRequests)) return;
        if (resetTime === undefined || clock.wall() < resetTime.getTime()) await this.store.decrement(key);
      } catch (error) {
        logger.error(error, 'rate limit: a request was not taken back');
      }
    };
    const outcome = async (): Promise<boolean> => requestWasSuccessful(request, response);
    response.once('finish', () => void end(outcome()));
    response.once('error', () => void end(false));
    response.once('close', () => void end(response.writableEnded ? outcome() : false));
  }
}

/** What an option says that may be a function. */
function said<T>(
  option: T | ((request: Request, response: Response) => T | Promise<T>),
  request: Request,
  response: Response,
): T | Promise<T> {
  if (typeof option !== 'function') return option;
  return (option as (request: Request, response: Response) => T | Promise<T>)(request, response);
}

/**
 * Makes a middleware for express that allows each key `limit` requests in a window of `windowMs`: the options, headers and
 * answers of express-rate-limit 8.
 * @throws TypeError if `store` is none
 */
export function rateLimit(options: Partial<Options> = {}): RateLimitRequestHandler {
  const limit = new Limit(options);
  const { store } = limit;
  const middleware = (request: Request, response: Response, next: NextFunction): Promise<void> =>
    limit.handle(request, response, next).catch(next);
  return Object.assign(middleware, {
    resetKey: (key: string): unknown => store.resetKey(key),
    getKey: (key: string) => {
      if (store.get === undefined) throw new Error('rateLimit.store: has no get');
      return store.get(key);
    },
  });
}

/** In ms, for `windowMs`. */
export const SECOND: number = 1_000;
/** In ms, for `windowMs`. */
export const MINUTE: number = 60_000;
/** In ms, for `windowMs`. */
export const HOUR: number = 3_600_000;
/** In ms, for `windowMs`. */
export const DAY: number = 86_400_000;

const exported = { rateLimit, default: rateLimit, ipKeyGenerator, MemoryStore, SECOND, MINUTE, HOUR, DAY };

/** What `require` gives: the function, and on it everything else, as with express-rate-limit. */
const required: typeof rateLimit & Readonly<typeof exported> = Object.assign(rateLimit, exported);

export { rateLimit as default, required as 'module.exports' };
