/**
 * @module `fairlead/fastify-rate-limit`: for applications that use @fastify/rate-limit 11 and want to change no more than the
 * import. What differs is in docs/express-rate-limit.md.
 */
import { addressKey, normalAddress } from '@fairlead/server';
import { durationText } from './fastify-rate-limit/duration.js';
import {
  type RateLimitPluginOptions,
  type RefusalContext,
  type RouteRateLimitOptions,
  type Settings,
  settingsOf,
} from './fastify-rate-limit/options.js';
import { Windows } from './fastify-rate-limit/windows.js';

export type { RateLimitPluginOptions, RefusalContext, RouteRateLimitOptions } from './fastify-rate-limit/options.js';

/** What is asked of a request of fastify. */
interface Request {
  readonly ip: string;
  readonly routeOptions?: { readonly config?: { readonly rateLimit?: RouteRateLimitOptions | false } };
}
interface Reply {
  header(name: string, value: unknown): unknown;
}
type Hook = (request: Request, reply: Reply) => Promise<void>;
interface Route {
  readonly config?: { readonly rateLimit?: RouteRateLimitOptions | false };
  [hook: string]: unknown;
}

/** What the plugin asks of a fastify instance. */
export interface FastifyInstance {
  decorate(name: string, value: unknown): unknown;
  hasDecorator(name: string): boolean;
  addHook(name: string, hook: (...args: never[]) => unknown): unknown;
}

/** What `app.createRateLimit()` finds of a request. */
export type RateLimitState =
  | { readonly isAllowed: true; readonly key: string }
  | {
      readonly isAllowed: false;
      readonly key: string;
      readonly max: number;
      readonly timeWindow: number;
      readonly remaining: number;
      readonly ttl: number;
      readonly ttlInSeconds: number;
      readonly isExceeded: boolean;
      readonly isBanned: boolean;
    };

/** The key of an address: an IPv4 one itself, of an IPv6 one the beginning of its network, by default its /64. */
export function normalizeIP(ip: string, ipv6Subnet = 64): string {
  const normal = normalAddress(ip);
  if (normal === null || !normal.includes(':')) return normal ?? ip.toLowerCase();
  const network = addressKey(normal, ipv6Subnet).split('/')[0] as string;
  return new URL(`http://[${network}]`).hostname.slice(1, -1);
}

/** A limit with its own windows. */
class Limit {
  readonly settings: Settings;
  readonly #windows: Windows;
  readonly #fields: { readonly limit: string; readonly remaining: string; readonly reset: string };

  constructor(settings: Settings) {
    this.settings = settings;
    const { cache, continueExceeding, exponentialBackoff, clock, enableDraftSpec } = settings;
    const punishment = continueExceeding ? 'restart' : exponentialBackoff ? 'double' : 'none';
    this.#windows = new Windows(cache, punishment, clock);
    const prefix = enableDraftSpec ? 'ratelimit' : 'x-ratelimit';
    this.#fields = { limit: `${prefix}-limit`, remaining: `${prefix}-remaining`, reset: `${prefix}-reset` };
  }

  async state(request: Request, increment = true): Promise<RateLimitState> {
    const { keyGenerator, ipv6Subnet, allowList, max, timeWindow, ban } = this.settings;
    const own = keyGenerator === undefined ? normalizeIP(request.ip, ipv6Subnet) : await keyGenerator(request);
    const route = request.routeOptions?.config?.rateLimit;
    const key = `${own}${(route === false ? undefined : route?.groupId) ?? ''}`;
    const allowed =
      typeof allowList === 'function' ? await allowList(request, key) : (allowList?.includes(key) ?? false);
    if (allowed) return { isAllowed: true, key };
    const most = typeof max === 'number' ? max : await max(request, key);
    const windowMs = typeof timeWindow === 'number' ? timeWindow : await timeWindow(request, key);
    const { current, ttl } = increment ? this.#windows.count(key, windowMs, most) : this.#windows.read(key, windowMs);
    return {
      isAllowed: false,
      key,
      max: most,
      timeWindow: windowMs,
      remaining: Math.max(0, most - current),
      ttl,
      ttlInSeconds: Math.ceil(ttl / 1000),
      isExceeded: current > most,
      isBanned: ban !== -1 && current - most > ban,
    };
  }

  /** Counts a request, and throws if that is one too many. */
  async pass(request: Request, reply: Reply): Promise<void> {
    const state = await this.state(request);
    if (state.isAllowed) return;
    const { settings } = this;
    const { key, max, ttl, ttlInSeconds, isExceeded, isBanned } = state;
    if (!isExceeded) {
      this.#tell(reply, state, settings.addHeadersOnExceeding);
      settings.onExceeding(request, key);
      return;
    }
    settings.onExceeded(request, key);
    this.#tell(reply, state, settings.addHeaders);
    if (settings.addHeaders['retry-after'] ?? true) reply.header('retry-after', ttlInSeconds);
    if (isBanned) settings.onBanReach(request, key);
    const after = durationText(ttlInSeconds * 1000);
    const context: RefusalContext = { statusCode: isBanned ? 403 : 429, ban: isBanned, max, ttl, after };
    throw settings.errorResponseBuilder?.(request, context) ?? refusal(context);
  }

  #tell(reply: Reply, state: RateLimitState & { isAllowed: false }, wanted: Readonly<Record<string, boolean>>): void {
    const { limit, remaining, reset } = this.#fields;
    if (wanted[limit] ?? true) reply.header(limit, state.max);
    if (wanted[remaining] ?? true) reply.header(remaining, state.remaining);
    if (wanted[reset] ?? true) reply.header(reset, state.ttlInSeconds);
  }
}

function refusal({ after, statusCode }: RefusalContext): Error {
  return Object.assign(new Error(`Rate limit exceeded, retry in ${after}`), { statusCode });
}

/**
 * The plugin: `await app.register(rateLimit, { max: 100, timeWindow: '1 minute' })`. Limits every route that is defined after
 * it, or those that say so in `config.rateLimit`, and decorates the instance with `rateLimit` and `createRateLimit`.
 * @throws ConfigError if an option asks for what is not there
 */
export async function fastifyRateLimit(instance: FastifyInstance, options: RateLimitPluginOptions): Promise<void> {
  const settings = settingsOf(options);
  const shared = new Limit(settings);
  // One limit of a plugin is enough for a request, whichever of its hooks comes first.
  const counted = new WeakSet<Request>();
  const hookOf =
    (limit: Limit): Hook =>
    async (request, reply) => {
      if (counted.has(request)) return;
      counted.add(request);
      await limit.pass(request, reply);
    };
  const limitOf = (own?: RouteRateLimitOptions): Limit =>
    own === undefined ? shared : new Limit(settingsOf(own, settings));

  if (!instance.hasDecorator('rateLimit')) {
    instance.decorate('rateLimit', (own?: RouteRateLimitOptions) => hookOf(limitOf(own)));
  }
  if (!instance.hasDecorator('createRateLimit')) {
    instance.decorate('createRateLimit', (own?: RouteRateLimitOptions) => {
      const limit = limitOf(own);
      return (request: Request, { increment }: { increment?: boolean } = {}) => limit.state(request, increment);
    });
  }
  instance.addHook('onRoute', (route: Route) => {
    const own = route.config?.rateLimit;
    if (own === false || (own === undefined && !settings.global)) return;
    const limit = limitOf(own);
    const name = limit.settings.hook;
    const before = route[name];
    route[name] = [...(Array.isArray(before) ? before : before === undefined ? [] : [before]), hookOf(limit)];
  });
}

Object.assign(fastifyRateLimit, {
  // Without this, fastify would give the plugin an instance of its own, and no route of the application would meet it.
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'fairlead-rate-limit',
  [Symbol.for('plugin-meta')]: { name: 'fairlead-rate-limit', fastify: '5.x' },
});

const exported = { fastifyRateLimit, default: fastifyRateLimit, normalizeIP };

/** What `require` gives: the plugin, and on it everything else, as with @fastify/rate-limit. */
const required: typeof fastifyRateLimit & Readonly<typeof exported> = Object.assign(fastifyRateLimit, exported);

export { fastifyRateLimit as default, required as 'module.exports' };
