/** Would catch grace for own work, for ever, without bound, or for a loop that does not know its CPU time. */
import { describe, expect, it } from 'vitest';
import { eventLoop } from './event-loop.js';
import { Grace } from './grace.js';

class Loop {
  active = 0;
  cpu = 0;
  activeMs = (): number => this.active;
  cpuMs = (): number => this.cpu;
  heapRatio = (): number => 0;
  afterReading(): void {}
}

function after(...turns: readonly (readonly [elapsed: number, active: number, cpu: number])[]): number {
  const loop = Object.assign(new Loop(), { active: 5_000, cpu: 1_000 });
  const grace = new Grace();
  let now = 20_000;
  grace.turn(now, loop);
  for (const [elapsed, active, cpu] of turns) {
    loop.active += active;
    loop.cpu += cpu;
    grace.turn((now += elapsed), loop);
  }
  return grace.ms;
}

describe('grace', () => {
  it('is as long as the process was ready to work and could not', () => {
    expect(after()).toBe(0);
    expect(after([600, 600, 40])).toBe(560);
    expect(after([600, 300, 300])).toBe(0);
    expect(after([600, 10, 10])).toBe(0);
    expect(after([60, 60, 11])).toBe(0);
    expect(after([60, 60, 10])).toBe(50);
  });

  it('fades, and starts anew with the next stop', () => {
    expect(after([600, 600, 0], [50, 50, 50])).toBe(575);
    expect(after([600, 600, 0], [2_000, 50, 50])).toBe(0);
    expect(after([100, 100, 0], [300, 300, 0])).toBe(300);
  });

  it('is bounded, and never below 0', () => {
    expect(after([60_000, 60_000, 0])).toBe(1_000);
    // Threads beside this one have worked, too.
    expect(after([100, 100, 400])).toBe(0);
    expect(after([0, 0, 0])).toBe(0);
  });

  it('is none where CPU time is not known', () => {
    const { activeMs, heapRatio, afterReading } = new Loop();
    const grace = new Grace();
    grace.turn(0, { activeMs, heapRatio, afterReading });
    grace.turn(1_000, { activeMs: () => 1_000, heapRatio, afterReading });
    expect(grace.ms).toBe(0);
  });

  it('of this thread is known: CPU time that it has used counts', () => {
    const before = eventLoop.cpuMs?.() as number;
    let sum = 0;
    for (let i = 0; i < 5e6; i++) sum += Math.sqrt(i);
    expect(sum).toBeGreaterThan(0);
    expect(eventLoop.cpuMs?.()).toBeGreaterThan(before);
  });
});
