// Would catch: a connection that waits or comes back, one that lacks what the user's has, a script that is told the time by
// the process, a rejection that nobody handles.
import { EventEmitter } from 'node:events';
import { Cluster, Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { loadBottleneck } from '../load-engine.js';
import { connectOnce } from './pace-fleet-connection.js';

describe('connectOnce', () => {
  it('makes a client like the one given, but for what would make it wait', () => {
    const redis = new Redis({ lazyConnect: true, password: 'secret', db: 3, keyPrefix: 'mine:', connectionName: 'me' });
    const made = connectOnce(redis, 70) as unknown as Redis;
    made.on('error', () => {});
    made.disconnect();
    expect(made.options).toMatchObject({
      ...{ password: 'secret', db: 3, connectionName: 'me', keyPrefix: '' },
      ...{ connectTimeout: 70, commandTimeout: 70, maxRetriesPerRequest: 0, enableOfflineQueue: false },
    });
    expect(made.options.retryStrategy?.(1)).toBeNull();
  });

  it('makes a cluster like the one given, but for what would make it wait', () => {
    const redis = new Cluster([{ port: 1, host: '127.0.0.1' }], {
      lazyConnect: true,
      keyPrefix: 'mine:',
      redisOptions: { password: 'secret', connectTimeout: 9_999 },
    });
    const made = connectOnce(redis, 70) as unknown as Cluster;
    made.on('error', () => {});
    made.disconnect();
    expect(made.options).toMatchObject({
      ...{ keyPrefix: '', slotsRefreshTimeout: 70, retryDelayOnFailover: 0, retryDelayOnClusterDown: 0 },
      redisOptions: { password: 'secret', connectTimeout: 70, commandTimeout: 70 },
    });
    expect(made.options.clusterRetryStrategy?.(1)).toBeNull();
  });

  it('has every script of bottleneck ask Redis for the time', async () => {
    const scripts = new Map<string, string>();
    const made = Object.assign(new EventEmitter(), {
      status: 'ready',
      defineCommand: (name: string, { lua }: { lua: string }) => void scripts.set(name, lua),
      duplicate: () => Object.assign(new EventEmitter(), { status: 'ready' }),
    });
    const client = connectOnce({ duplicate: () => made }, 70);
    await new (loadBottleneck().IORedisConnection)({ client }).ready;
    expect(scripts.size).toBeGreaterThan(10);
    for (const [name, lua] of scripts) {
      expect([name, lua.includes("redis.call('TIME')"), lua.includes('tonumber(ARGV[1])')]).toEqual([
        name,
        true,
        false,
      ]);
    }
  });

  it('leaves no rejection unhandled when a node goes that was asked during the move of a slot', async () => {
    const made = Object.assign(new EventEmitter(), { defineCommand() {} });
    connectOnce({ isCluster: true, duplicate: () => made } as never, 70);
    const node = { asking: () => Promise.reject(new Error('Connection is closed.')) };
    made.emit('+node', node);
    // ioredis calls it so. An unhandled rejection would fail the run.
    void node.asking();
    await expect(node.asking()).rejects.toThrow('closed');
  });
});
