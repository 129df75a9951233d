/**
 * Would catch: a real clock whose timers are early or late, that keeps a process alive for nothing, or lets one end that
 * still waits. The only test of the project whose subject is real time; it takes a quarter of a second.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { systemClock } from './clock.js';
import { later, sleep } from './sleep.js';

describe('systemClock', () => {
  it('fires never early, and late by a few milliseconds', async () => {
    const late: number[] = [];
    const waits = Array.from({ length: 300 }, async () => {
      const ms = systemClock.random() * 60;
      const at = systemClock.now() + ms;
      await sleep(systemClock, ms);
      late.push(systemClock.now() - at);
    });
    await Promise.all(waits);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    expect(late.reduce((a, b) => a + b) / late.length).toBeLessThan(10);
  });

  it('moves a timer that is armed again, and forgets one that is disarmed', async () => {
    const log: string[] = [];
    const moved = later(systemClock, 5, () => log.push('moved'));
    const dropped = later(systemClock, 5, () => log.push('dropped'));
    systemClock.arm(moved, systemClock.now() + 30);
    systemClock.disarm(dropped);
    later(systemClock, -100, () => log.push('past'));
    await sleep(systemClock, 15);
    expect(log).toEqual(['past']);
    await sleep(systemClock, 30);
    expect(log).toEqual(['past', 'moved']);
  });

  it('holds ten thousand timers', async () => {
    let fired = 0;
    for (let i = 0; i < 10_000; i++) later(systemClock, i % 40, () => fired++);
    await sleep(systemClock, 45);
    expect(fired).toBe(10_000);
  });

  it('knows the date, and chance', () => {
    expect(systemClock.wall()).toBeGreaterThan(Date.UTC(2026, 0, 1));
    const random = systemClock.random();
    expect(random >= 0 && random < 1).toBe(true);
    const bytes = new Uint8Array(64);
    systemClock.randomFill(bytes);
    expect(new Set(bytes).size).toBeGreaterThan(10);
  });

  it('keeps a process alive for a foreground timer, and for nothing else', async () => {
    // The sources themselves, in processes of their own, with a hook that finds `x.ts` where they say `x.js`.
    const hook = `
      import { registerHooks } from 'node:module';
      registerHooks({ resolve: (name, context, next) => next(name.replace(/^(\\.\\/.*)\\.js$/, '$1.ts'), context) });`;
    const run = async (script: string): Promise<string> => {
      const source = `${hook}
        const { systemClock } = await import('${new URL('./clock.ts', import.meta.url)}');
        const { later } = await import('${new URL('./sleep.ts', import.meta.url)}');
        const say = (text) => () => console.log(text);
        ${script}`;
      const args = ['--experimental-transform-types', '--no-warnings', '--input-type=module', '-e', source];
      return (await promisify(execFile)(process.execPath, args)).stdout;
    };
    const outputs = await Promise.all([
      run("later(systemClock, 50, say('front'))"),
      run("later(systemClock, 100_000, say('back'), true)"),
      run("later(systemClock, 100_000, say('back'), true); later(systemClock, 50, say('front'))"),
      run("systemClock.disarm(later(systemClock, 100_000, say('dropped')))"),
      run("later(systemClock, 20, say('back'), true); later(systemClock, 60, say('front'))"),
    ]);
    expect(outputs).toEqual(['front\n', '', 'front\n', '', 'back\nfront\n']);
  });
});
