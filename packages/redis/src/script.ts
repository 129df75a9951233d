/**
 * @module One bucket in Redis: a single number under a single key, which one script reads, decides on and writes, by the
 * server's own time. No clock of a client plays a part, and nothing can come between the reading and the writing.
 *
 * Source: the generic cell rate algorithm, ITU-T I.371, in its virtual scheduling form.
 */
import { createHash } from 'node:crypto';

/**
 * What is asked of a Redis client: the part of ioredis (version 5 or 6, `Redis` or `Cluster`) that runs scripts. Both
 * methods take the script or its SHA-1, the number of keys, the keys, and the arguments.
 */
export interface RedisScripts {
  evalsha(sha: string, numberOfKeys: number, ...keysAndArguments: (string | number)[]): PromiseLike<unknown>;
  eval(script: string, numberOfKeys: number, ...keysAndArguments: (string | number)[]): PromiseLike<unknown>;
}

/**
 * The key holds the time at which the bucket would be full again, in µs since 2026: counted from 1970 a double has no
 * digits left for fractions of a µs, and they would add up in a bucket that is asked often. The key expires at just that
 * time, because a bucket that is full has nothing to remember.
 *
 * A time that is further away than a bucket is deep comes from a clock that was set back, another server's clock after a
 * failover, or a deeper bucket of an older configuration. It is taken for an empty bucket, or its owner would be shut
 * out until then. The half µs is for rounding. `missing` is how far the bucket is from full at least, as far as the caller knows.
 *
 * Whoever is granted `spend` may have up to `ahead` units more, `step` each, as far as they are there.
 */
export const bucketScript: string = `
local time = redis.call('TIME')
local now = (time[1] - 1767225600) * 1000000 + time[2]
local depth, spend, missing = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local step, ahead = tonumber(ARGV[4]), tonumber(ARGV[5])
local stored = tonumber(redis.call('GET', KEYS[1]) or '') or now
local most = now + depth + 0.5
local full = math.min(most, math.max(now, stored, now + missing))
local allowed = full + spend <= most
if allowed then
  full = full + spend
  ahead = math.max(0, math.min(ahead, math.floor((most - full) / step)))
  full = full + ahead * step
else
  ahead = 0
end
if full > now and full ~= stored then
  local expiry = string.format('%.0f', math.ceil((full - now) / 1000))
  redis.call('SET', KEYS[1], string.format('%.17g', full), 'PX', expiry)
end
return { allowed and 1 or 0, string.format('%.17g', full - now), ahead }
`;

/** By this name the server knows the script once it has seen it. */
export const bucketSha: string = createHash('sha1').update(bucketScript).digest('hex');

/** What the script answers. */
export interface BucketState {
  readonly allowed: boolean;
  /** Until the bucket is full, in µs; not below 0. */
  readonly debtUs: number;
  /** Units granted beyond what was to be spent. */
  readonly ahead: number;
}

/** The script's answer, or null if that is not what `reply` is. */
export function parseBucketState(reply: unknown): BucketState | null {
  if (!Array.isArray(reply) || reply.length !== 3 || typeof reply[1] !== 'string') return null;
  // ioredis gives numbers as strings when it was told to.
  const allowed = Number(reply[0]);
  const debtUs = Number.parseFloat(reply[1]);
  const ahead = Number(reply[2]);
  if (!(debtUs >= 0 && ahead >= 0)) return null;
  return allowed === 0 || allowed === 1 ? { allowed: allowed === 1, debtUs, ahead } : null;
}

/** What an error that Redis answered with means. */
export type ScriptFailure = 'unknown-script' | 'wrong-key' | 'down';

/**
 * Tells errors apart by the word that begins them.
 * - `unknown-script`: the server has been restarted, or its scripts were flushed; send the script itself
 * - `wrong-key`: something else than a bucket is kept under this one key; the server is well
 * - `down`: all the rest, from a lost connection to a server that is loading its data or may not write
 */
export function scriptFailure(error: unknown): ScriptFailure {
  const message = String((error as { message?: unknown } | null | undefined)?.message ?? '');
  if (message.startsWith('NOSCRIPT')) return 'unknown-script';
  return message.startsWith('WRONGTYPE') ? 'wrong-key' : 'down';
}
