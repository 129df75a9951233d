// A quota that all processes of a fleet share. Without a Redis this process goes at its share of it, here a half.
import { createCall, createReply, type Handler, systemClock } from 'fairlead';

// Stands for what sends.
const sentAt: number[] = [];
const transport: Handler = async () => {
  sentAt.push(systemClock.now());
  return createReply({ at: systemClock.now() });
};

// #region stack
import { compose, deadline, fleetPace, pace } from 'fairlead';
import { Redis } from 'ioredis';

const redis = new Redis({ lazyConnect: true });
const limiter = fleetPace({ redis, name: 'bank', replicas: 2 });
const handler = compose([deadline({ ms: 10_000 }), pace({ perSecond: 50, limiter })], transport);
// #endregion

await Promise.all(
  Array.from({ length: 10 }, () => handler(createCall({ service: 'bank', runtime: { clock: systemClock } }))),
);
const where = limiter.down ? 'without a Redis, one of two' : 'with a Redis';
// #region close
limiter.close();
// #endregion
const ms = (sentAt.at(-1) as number) - (sentAt[0] as number);
if (ms < 150) throw new Error(`expected 180 ms at least: ${ms} ms`);
console.log(`10 calls at 50 per second took ${Math.round(ms)} ms, ${where}`);
