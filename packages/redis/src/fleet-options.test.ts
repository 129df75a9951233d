/** Would catch: an option that is not what it seems, a mistake that is found only at run time, and a password that is shown. */
import { ConfigError } from '@fairlead/core';
import { Cluster, Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { fleetBuckets } from './fleet-buckets.js';
import { fleetBucketsDefaults } from './fleet-options.js';
import type { RedisScripts } from './script.js';

const redis: RedisScripts = { evalsha: () => Promise.resolve(), eval: () => Promise.resolve() };

describe('options of fleetBuckets', () => {
  const wrong = (options: unknown): string => {
    try {
      fleetBuckets(options as never);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as Error).message;
    }
    return 'no error';
  };

  it('are checked all at once', () => {
    expect(wrong(undefined)).toMatch(/perSecond = null[\s\S]*burst = null[\s\S]*redis: expected an ioredis client/);
    const all = {
      redis,
      perSecond: 0,
      burst: 1.5,
      prefix: 1,
      timeoutMs: 0,
      onDown: 'shut',
      replicas: 0,
      aheadRatio: 2,
      maxKeys: 0,
    };
    const problems = wrong(all).split('\n').slice(1);
    expect(problems.map((line) => line.trim().split(' ')[0])).toEqual(
      ['perSecond', 'burst', 'prefix', 'timeoutMs', 'onDown', 'replicas', 'aheadRatio', 'maxKeys'].map(
        (name) => `fleetBuckets.${name}`,
      ),
    );
    expect(wrong({ redis, perSecond: 1, burst: 1, timeoutMS: 1 })).toContain('did you mean timeoutMs');
    expect(wrong({ redis, perSecond: 1e-6, burst: 32 })).toContain('at most what perSecond gives in a year');
    expect(wrong({ redis, perSecond: 1e-6, burst: 31 })).toBe('no error');
  });

  it('never show a password that was given instead of a client', () => {
    for (const given of ['redis://:secret@host', { host: 'host', password: 'secret' }]) {
      const message = wrong({ redis: given, perSecond: 1, burst: 1 });
      expect(message).toContain('fleetBuckets.redis: expected an ioredis client');
      expect(message).not.toContain('secret');
    }
  });

  it('have the defaults that the page says', () => {
    const waiting = { timeoutMs: 50, onDown: 'local', replicas: 1, aheadRatio: 0 };
    expect(fleetBucketsDefaults).toEqual({ prefix: 'fairlead:limit:', maxKeys: 10_000, ...waiting });
    expect(Object.isFrozen(fleetBucketsDefaults)).toBe(true);
  });

  it('take what ioredis makes', () => {
    // Of the types no less than of the objects.
    const clients = [new Redis({ lazyConnect: true }), new Cluster([], { lazyConnect: true })];
    for (const client of clients) {
      const made: RedisScripts = client;
      expect(wrong({ redis: made, perSecond: 1, burst: 1 })).toBe('no error');
      client.disconnect();
    }
  });
});
