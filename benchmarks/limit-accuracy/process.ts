/**
 * @module A process of a fleet, or several in one: each has a client of Redis of its own, and asks when the schedule says so.
 * Arguments: port of Redis, how many, the limit, replicas, aheadRatio. Told `[begin, asks, name]`, where asks is a list of
 * when to ask, in ms after `begin`, it answers with when it asked, when it knew, and what.
 */
import { fleetBuckets } from '@fairlead/redis';
import { Redis } from 'ioredis';

const [port = 0, members = 1, perSecond = 1, burst = 1, replicas = 1, aheadRatio = 0] = process.argv
  .slice(2)
  .map(Number);
const clients = await Promise.all(
  Array.from({ length: members }, async () => {
    const redis = new Redis(port, '127.0.0.1', { enableAutoPipelining: true });
    await redis.ping();
    return redis;
  }),
);

/** Ms since the epoch, as precise as it gets: the clock that processes of one machine share. */
const now = (): number => performance.timeOrigin + performance.now();

process.on('message', async ([begin, asks, prefix]: [number, number[], string]) => {
  // What is measured is how exact they are, so nobody may be late: 5 s is as good as forever.
  const fleet = clients.map((redis) =>
    fleetBuckets({ redis, prefix, perSecond, burst, replicas, aheadRatio, timeoutMs: 5_000 }),
  );
  const told: [asked: number, known: number, allowed: boolean, shared: boolean][] = [];
  const pending: Promise<void>[] = [];
  for (let i = 0; i < asks.length; i++) {
    const due = begin + (asks[i] as number);
    while (now() < due)
      await new Promise((resolve) => (due - now() > 3 ? setTimeout(resolve, 1) : setImmediate(resolve)));
    const asked = now();
    const one = fleet[i % members] as (typeof fleet)[0];
    pending.push(one.take('caller').then(({ allowed, shared }) => void told.push([asked, now(), allowed, shared])));
  }
  await Promise.all(pending);
  process.send?.(told);
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
