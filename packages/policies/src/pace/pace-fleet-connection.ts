/** @module A connection to Redis that fails in time, never comes back, and asks Redis for the time. */

/** What is needed of an ioredis client, `Redis` or `Cluster`: what it would be made from once more. */
export interface PaceRedis {
  duplicate(...overrides: never[]): unknown;
}

/** What is used of the client that bottleneck gets. */
export interface PaceClient {
  on(event: 'close', listener: () => void): unknown;
  on(event: '+node', listener: (node: ClusterNode) => void): unknown;
  eval(script: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
  zrem(key: string, member: string): Promise<unknown>;
  defineCommand(name: string, definition: { lua: string }): void;
}

/**
 * Makes a client like `redis`, for as long as one connection lasts.
 * @param timeoutMs longest time to connect, and for an answer
 */
export function connectOnce(redis: PaceRedis, timeoutMs: number): PaceClient {
  const one = {
    retryStrategy: () => null,
    reconnectOnError: null,
    maxRetriesPerRequest: 0,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    keyPrefix: '',
  };
  const all = { lazyConnect: false, enableOfflineQueue: false, keyPrefix: '' };
  const { isCluster, duplicate } = redis as { isCluster?: boolean; duplicate(...overrides: unknown[]): unknown };
  const client = (
    isCluster === true
      ? duplicate.call(redis, [], {
          ...all,
          redisOptions: one,
          clusterRetryStrategy: () => null,
          slotsRefreshTimeout: timeoutMs,
          // A slot that has moved is followed. One whose node is gone is not waited for.
          maxRedirections: 4,
          retryDelayOnFailover: 0,
          retryDelayOnClusterDown: 0,
        })
      : duplicate.call(redis, { ...one, ...all })
  ) as PaceClient;
  tellTime(client);
  if (isCluster === true) client.on('+node', heedAsking);
  return client;
}

/** What is used of a connection to one node of a cluster. */
interface ClusterNode {
  asking(): Promise<unknown>;
}

/**
 * While a slot moves, ioredis puts an ASKING before a command and does not look after what becomes of it. A connection that is
 * closed at that moment would end the process with an unhandled rejection; the command itself fails as it should.
 */
function heedAsking(node: ClusterNode): void {
  const { asking } = node;
  node.asking = () => {
    const asked = asking.call(node);
    asked.catch(ignore);
    return asked;
  };
}

const ignore = (): void => {};

/** Each script of bottleneck begins with the time that the process tells it. Here it asks Redis. */
function tellTime(client: PaceClient): void {
  const { defineCommand } = client;
  client.defineCommand = (name, { lua }) =>
    defineCommand.call(client, name, {
      lua: lua.replace(
        'local now = tonumber(ARGV[1])',
        "local time = redis.call('TIME')\nlocal now = time[1] * 1000 + time[2] / 1000",
      ),
    });
}
