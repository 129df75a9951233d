/**
 * @module Work for the CPU that is nothing else, and always the same: native code, since what V8 makes of a loop depends on
 * its mood, and a derived key, since that needs no memory.
 */
import { pbkdf2Sync } from 'node:crypto';
import { performance } from 'node:perf_hooks';

/** Turns `turns` times. */
export function burn(turns: number): void {
  pbkdf2Sync('secret', 'salt', turns, 32, 'sha256');
}

/** How many turns take `ms`: by the fastest of many tries, for the others were disturbed. */
export function turnsIn(ms: number): number {
  const turns = 1_000;
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 300; i++) {
    const begun = performance.now();
    burn(turns);
    best = Math.min(best, performance.now() - begun);
  }
  return Math.round((turns * ms) / best);
}
