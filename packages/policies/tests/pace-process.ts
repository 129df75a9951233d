/** @module One process of a fleet that shares a pace: sends calls, and prints when each of them went. */
import { createCall, createReply, systemClock } from '@fairlead/core';
import { Redis } from 'ioredis';
import { fleetPace, pace } from '../src/index.js';

const [port, calls, perSecond] = process.argv.slice(2).map(Number) as [number, number, number];
const redis = new Redis(port, '127.0.0.1');
const limiter = fleetPace({ redis, name: 'bank' });
const layer = pace({ perSecond, limiter });
const send = () =>
  layer(createCall({ service: 'bank', runtime: { clock: systemClock } }), async () => {
    console.log(`sent ${systemClock.wall()}`);
    return createReply({ at: systemClock.now() });
  });

await send();
console.log('ready');
process.once('message', async () => {
  await Promise.all(Array.from({ length: calls }, send));
  limiter.close();
  redis.disconnect();
  process.disconnect();
  // Ends by itself: nothing is left that would keep it.
});
