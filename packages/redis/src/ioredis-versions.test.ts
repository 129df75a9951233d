/** Would catch: a version of ioredis, of those that may be installed beside this, which answers or fails otherwise. */
import { Scope } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisServer, redisInstalled } from '../tests/redis-server.js';
import { fleetBuckets } from './fleet-buckets.js';
import type { RedisScripts } from './script.js';

interface Client extends RedisScripts {
  on(event: 'error', listener: () => void): unknown;
  disconnect(): void;
}
type Library = { Redis: new (port: number, host: string, options: object) => Client };

/** Under the names that package.json gives them. */
async function installed(name: string): Promise<Library | null> {
  try {
    return (await import(/* @vite-ignore */ name)) as Library;
  } catch {
    console.warn(`ioredis-versions.test.ts: skipped, ${name} is not installed`);
    return null;
  }
}

const names = ['ioredis', 'ioredis5'];
const libraries = await Promise.all(names.map(installed));
const versions = names.flatMap((name, i) => (libraries[i] ? [[name, libraries[i]] as const] : []));

describe.skipIf(!redisInstalled('ioredis-versions.test.ts')).each(versions)('fleetBuckets with %s', (_, { Redis }) => {
  const server = new RedisServer();
  beforeAll(() => server.start(), 20_000);
  afterAll(() => server.close());

  it.each([{}, { enableAutoPipelining: true }, { stringNumbers: true }, { keyPrefix: 'app:' }])(
    'keeps the burst, loads its script, and notices that the server is gone, with %o',
    async (options) => {
      const client = new Redis(server.port, '127.0.0.1', {
        maxRetriesPerRequest: 0,
        retryStrategy: () => 5,
        ...options,
      });
      client.on('error', () => {});
      try {
        const clock = new VirtualClock();
        const scope = new Scope(clock);
        const buckets = fleetBuckets({ redis: client, perSecond: 0.001, burst: 100, aheadRatio: 0.1, replicas: 2 });
        await server.kill();
        await server.start();
        const verdicts = await Promise.all(Array.from({ length: 150 }, () => buckets.take('k', 1, scope)));
        const granted = verdicts.filter(({ allowed, shared }) => allowed && shared).length;
        expect(granted).toBeGreaterThanOrEqual(90);
        expect(granted).toBeLessThanOrEqual(100);
        await server.kill();
        const gone = buckets.take('other', 1, scope);
        await clock.advance(50);
        expect(await gone).toMatchObject({ allowed: true, shared: false });
        await server.start();
      } finally {
        client.disconnect();
      }
    },
  );
});
