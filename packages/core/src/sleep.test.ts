/** Would catch: a wait that outlives its scope, leaves a timer or a watcher behind, or ends early. */
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { Scope } from './scope.js';
import { later, sleep } from './sleep.js';

describe('sleep', () => {
  it('waits as long as it was told', async () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    await clock.run(sleep(clock, 12.5, scope));
    expect(clock.now()).toBe(12.5);
    checkLeaks({ clock, scopes: [scope] });
  });

  it('ends with the reason as soon as its scope is canceled', async () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    const waiting = sleep(clock, 100, scope);
    scope.cancel('why');
    await expect(waiting).rejects.toBe('why');
    await expect(sleep(clock, 100, scope)).rejects.toBe('why');
    checkLeaks({ clock, scopes: [scope] });
  });
});

describe('later', () => {
  it('calls once, unless it is disarmed; in the background if told so', async () => {
    const clock = new VirtualClock();
    const calls: string[] = [];
    later(clock, 5, () => calls.push('front'));
    later(clock, 5, () => calls.push('back'), true);
    clock.disarm(later(clock, 5, () => calls.push('dropped')));
    expect([clock.pending, clock.pendingForeground]).toEqual([2, 1]);
    await clock.advance(50);
    expect(calls).toEqual(['front', 'back']);
  });
});
