// Catches: an idle timeout that comes early, late, twice, or after it was taken back; one that keeps a process alive.
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { IdleTimer } from './idle-timer.js';

function idle() {
  const clock = new VirtualClock();
  const told: number[] = [];
  const timer = new IdleTimer(clock, () => told.push(clock.now()));
  return { clock, told, timer };
}

describe('IdleTimer', () => {
  it('tells once, that long after it was last used', async () => {
    const { clock, told, timer } = idle();
    timer.set(100);
    await clock.advance(60);
    timer.touch();
    await clock.advance(99);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual([160]);
    await clock.advance(1_000);
    expect(told).toEqual([160]);
  });

  it('begins again with the next use', async () => {
    const { clock, told, timer } = idle();
    timer.set(100);
    await clock.advance(500);
    timer.touch();
    await clock.advance(500);
    expect(told).toEqual([100, 600]);
  });

  it('can be made shorter, and taken back', async () => {
    const { clock, told, timer } = idle();
    timer.set(1_000);
    timer.set(10);
    await clock.advance(10);
    expect(told).toEqual([10]);
    timer.set(10);
    timer.set(0);
    timer.touch();
    await clock.advance(1_000);
    expect(told).toEqual([10]);
    expect(clock.pending).toBe(0);
  });

  it('does not keep a process alive', () => {
    const { clock, timer } = idle();
    timer.set(10);
    expect(clock.armed.map(({ background }) => background)).toEqual([true]);
  });
});
