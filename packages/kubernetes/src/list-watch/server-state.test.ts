/** Would catch: a process that comes back twice, or never, or in everybody's moment; a server that is taken for lost for good. */
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { ServerState } from './server-state.js';

const options = { spreadMs: 75_000, relistMs: 1_800_000 };

describe('ServerState', () => {
  it('gives all that are cut off one moment, a second wide, within the spread', () => {
    for (let seed = 1; seed < 200; seed++) {
      const clock = new VirtualClock({ seed });
      const state = new ServerState(options);
      const waits = Array.from({ length: 20 }, () => state.cut(clock));
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...waits)).toBeLessThanOrEqual(76_000);
      expect(Math.max(...waits) - Math.min(...waits)).toBeLessThanOrEqual(1_000);
    }
  });

  it('gives the same moment of every period until the server is reached, and then forgets it', async () => {
    const clock = new VirtualClock({ seed: 3 });
    const state = new ServerState(options);
    const moments: number[] = [];
    for (let i = 0; i < 10; i++) {
      const wait = state.cut(clock);
      moments.push(clock.now() + wait);
      await clock.advance(wait + 1_001);
    }
    const gaps = moments.slice(1).map((at, i) => at - (moments[i] as number));
    for (const gap of gaps) expect(Math.abs(gap - 75_000)).toBeLessThanOrEqual(1_000);
    expect(state.cutOff).toBe(true);
    state.reached();
    expect(state.cutOff).toBe(false);
    const phases = Array.from({ length: 20 }, () => {
      const phase = (clock.now() + state.cut(clock)) % 75_000;
      state.reached();
      return phase;
    });
    expect(Math.max(...phases) - Math.min(...phases)).toBeGreaterThan(10_000);
  });

  it('believes for a while that the server cannot stream', async () => {
    const clock = new VirtualClock();
    const state = new ServerState(options);
    expect(state.streams(clock)).toBe(true);
    state.onlyLists(clock);
    await clock.advance(1_799_999);
    expect(state.streams(clock)).toBe(false);
    await clock.advance(1);
    expect(state.streams(clock)).toBe(true);
  });
});
