/**
 * @module Callers of the database in a process of their own: so many calls per second, whatever becomes of them, and how many
 * of those that were begun at what time were answered well. `node callers.ts KIND ORIGIN PER_SECOND SECONDS`
 */
import { createClient, later, systemClock } from 'fairlead';
import pRetry from 'p-retry';

const [, , kind = '', origin = '', perSecond = '', seconds = ''] = process.argv;
const TIMEOUT_MS = 1_000;
const RETRIES = 3;

/** Resolves with whether the answer was good. */
type Ask = () => Promise<boolean>;

/** What a call of the built-in fetch with a timeout is. */
const once: Ask = async () => {
  const reply = await fetch(origin, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  await reply.text();
  if (!reply.ok) throw new Error(String(reply.status));
  return true;
};

function fairlead(breaker: boolean): Ask {
  const client = createClient({
    environment: false,
    services: {
      database: {
        from: [origin],
        attempts: RETRIES + 1,
        attemptTimeoutMs: TIMEOUT_MS,
        timeoutMs: TIMEOUT_MS * (RETRIES + 1),
        ...(breaker ? {} : { breaker: false }),
      },
    },
  });
  return async () => {
    const reply = await client.fetch('http://database/');
    await reply.text();
    return reply.ok;
  };
}

const kinds: Readonly<Record<string, () => Ask>> = {
  loop: () => async () => {
    for (let left = RETRIES; ; left--) {
      try {
        return await once();
      } catch (error) {
        if (left === 0) throw error;
      }
    }
  },
  pRetry: () => () => pRetry(once, { retries: RETRIES }),
  fairlead: () => fairlead(false),
  breaker: () => fairlead(true),
};

const ask = (kinds[kind] as () => Ask)();
const endMs = Number(seconds) * 1_000;
/** Calls by the tenth of a second in which they were begun, and those of them that were answered well. */
const [begun, good] = [0, 0].map(() => new Array<number>(endMs / 100).fill(0)) as [number[], number[]];
/** After the last call, what still has a chance has its time. */
const LAST_MS = (RETRIES + 1) * TIMEOUT_MS;
process.send?.('ready');
process.once('message', () => {
  const first = systemClock.now();
  let made = 0;
  const turn = (): void => {
    const ms = systemClock.now() - first;
    // As many as should have been made by now: a turn that comes late makes up for it.
    for (; made < (Math.min(ms, endMs) * Number(perSecond)) / 1_000; made++) {
      const slot = Math.min(good.length - 1, Math.floor(ms / 100));
      (begun[slot] as number)++;
      ask().then(
        (well) => {
          if (well) (good[slot] as number)++;
        },
        () => {},
      );
    }
    if (ms < endMs) later(systemClock, 4, turn);
    else later(systemClock, LAST_MS, () => process.send?.({ begun, good }));
  };
  turn();
});
process.on('disconnect', () => process.exit(0));
