// Catches: a reading that comes too often, too seldom or never, a change that is lost because it came at the wrong time, and
// a watch, timer or reading that outlives its scope.
import { writeFileSync } from 'node:fs';
import { sleep, systemClock } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { at, content, countable, quiet, says, scopes, until, Watched, watches } from '../../../test/watched-file.js';

describe('the watch of a file', () => {
  it('is read every refreshMs, ±10 %, where nothing tells of a change', async () => {
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json'), refreshMs: 30_000 }, clock);
    await says(watched, 'a:1');
    await until(
      () => clock.pending === 1,
      () => clock.pending,
    );
    const dues = new Set<number>();
    for (let i = 0; i < 5; i++) {
      const due = (clock.armed[0]?.due as number) - clock.now();
      expect(due).toBeGreaterThanOrEqual(27_000);
      expect(due).toBeLessThanOrEqual(33_000);
      dues.add(due);
      await clock.advance(due);
      await until(
        () => clock.pending === 1,
        () => clock.pending,
      );
    }
    expect(dues.size).toBe(5);
    expect(clock.pendingForeground).toBe(0);
    // Notices are one thing, time is another: at a clock that stands still a change waits for settleMs.
    writeFileSync(at('a.json'), content('b:1'));
    await until(
      () => clock.armed[0]?.due === clock.now() + 5,
      () => clock.armed[0]?.due,
    );
    expect(watched.last).toBe('a:1');
    await clock.advance(5);
    await says(watched, 'b:1');
  });

  it('is read once more if it has changed while it was read', async () => {
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json'), refreshMs: undefined as never }, clock);
    await says(watched, 'a:1');
    const idle = (): boolean => clock.pending === 1;
    await until(idle, () => clock.pending);
    // The notice of it comes in the next turn; a reading takes several.
    clock.armed[0]?.fire();
    writeFileSync(at('a.json'), content('b:1'));
    await says(watched, 'b:1');
    expect(clock.armed[0]?.due).toBe(clock.now() + 5);
  });

  it('is not put off by changes that never cease, and other files are no changes', async () => {
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const watched = new Watched({ path: at('a.json'), settleMs: 100 }, clock);
    await says(watched, 'a:1');
    await until(
      () => clock.pending === 1,
      () => clock.pending,
    );
    const idle = clock.armed[0]?.due;
    writeFileSync(at('b.json'), content('b:1'));
    await quiet();
    expect(clock.armed[0]?.due).toBe(idle);
    writeFileSync(at('a.json'), 'half');
    await until(
      () => clock.armed[0]?.due === clock.now() + 100,
      () => clock.armed[0]?.due,
    );
    await clock.advance(60);
    writeFileSync(at('a.json'), content('c:1'));
    await quiet();
    expect(clock.armed[0]?.due).toBe(100);
    await clock.advance(40);
    await says(watched, 'c:1');
    expect(watched.told).toHaveLength(2);
  });

  it('ends with its scope: no timer, no watcher, no late news', async () => {
    const before = watches();
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const [one, two] = [new Watched({ path: at('a.json') }, clock), new Watched({ path: at('a.json') }, clock)];
    await says(one, 'a:1');
    await says(two, 'a:1');
    if (countable) expect(watches()).toBeGreaterThan(before);
    one.scope.cancel();
    // The other goes on: they share nothing.
    await until(
      () => clock.pending === 1,
      () => clock.pending,
    );
    writeFileSync(at('a.json'), content('b:1'));
    await until(
      () => clock.armed[0]?.due === clock.now() + 5,
      () => clock.armed[0]?.due,
    );
    await clock.advance(5);
    await says(two, 'b:1');
    two.scope.cancel();
    await quiet();
    expect([one.told.length, two.told.length, watches() - before]).toEqual([1, 2, 0]);
    checkLeaks({ clock, scopes });
  });

  it('ends in the middle of a reading', async () => {
    const before = watches();
    const clock = new VirtualClock();
    writeFileSync(at('a.json'), content('a:1'));
    const all = Array.from({ length: 20 }, () => new Watched({ path: at('a.json') }, clock));
    for (const [i, { scope }] of all.entries()) {
      for (let turns = 0; turns < i; turns++) await new Promise((resolve) => process.nextTick(resolve));
      if (i > 10) await sleep(systemClock, 1);
      scope.cancel();
    }
    await quiet();
    expect(watches() - before).toBe(0);
    checkLeaks({ clock, scopes });
    const already = new Watched({ path: at('a.json') }, clock);
    already.scope.cancel();
    await quiet();
    expect(already.told).toEqual([]);
  });
});
