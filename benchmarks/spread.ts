/** @module So many calls, so many of them at a time. */
import { systemClock } from '@fairlead/core';
import type { Latencies } from './measure.ts';

/** Makes `total` calls, `width` of them at a time, and tells `latencies`, if there is one, how long each took. */
export async function spread(
  total: number,
  width: number,
  call: () => Promise<unknown>,
  latencies?: Latencies,
): Promise<void> {
  let left = total;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  const timed = async (to: Latencies): Promise<void> => {
    while (left-- > 0) {
      const begun = systemClock.now();
      await call();
      to.add(systemClock.now() - begun);
    }
  };
  const one = latencies === undefined ? worker : () => timed(latencies);
  await Promise.all(Array.from({ length: Math.min(width, total) }, one));
}
