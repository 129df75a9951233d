/** Catches a signal that tells too few, too many, or the wrong ones, and listeners that pile up on a signal that lives long. */
import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { followSignal, type SignalFollower, unfollowSignal } from './signal-followers.js';

function follower(name: string, told: string[], then: () => void = () => {}): SignalFollower {
  return {
    onAbort: (reason) => {
      told.push(`${name} ${String(reason)}`);
      then();
    },
  };
}

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('followers of a signal', () => {
  it('are told once, with its reason, and share a listener', () => {
    const controller = new AbortController();
    const told: string[] = [];
    for (const name of ['a', 'b', 'c']) followSignal(controller.signal, follower(name, told));
    expect(listeners(controller.signal)).toBe(1);
    controller.abort('why');
    controller.abort('again');
    expect(told).toEqual(['a why', 'b why', 'c why']);
  });

  it('of one signal are not those of another', () => {
    const [one, other] = [new AbortController(), new AbortController()];
    const told: string[] = [];
    followSignal(one.signal, follower('a', told));
    followSignal(other.signal, follower('b', told));
    one.abort(1);
    expect(told).toEqual(['a 1']);
  });

  it('may take each other off while they are told, and themselves', () => {
    const { signal, abort } = bound();
    const told: string[] = [];
    const third = follower('c', told);
    const first = follower('a', told, () => {
      unfollowSignal(signal, first);
      unfollowSignal(signal, third);
    });
    const second = follower('b', told, () => unfollowSignal(signal, second));
    for (const each of [first, second, third]) followSignal(signal, each);
    abort();
    expect(told).toEqual(['a x', 'b x']);
    expect(listeners(signal)).toBe(0);
  });

  it('are told although one of them throws, which is not hidden', async () => {
    const { signal, abort } = bound();
    const told: string[] = [];
    const unhandled = vi.fn();
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', unhandled);
    followSignal(signal, {
      onAbort: () => {
        throw new RangeError('mine');
      },
    });
    followSignal(signal, follower('b', told));
    abort();
    await Promise.resolve();
    process.removeAllListeners('uncaughtException');
    for (const each of before) process.on('uncaughtException', each);
    expect(told).toEqual(['b x']);
    expect(unhandled.mock.calls[0]?.[0]).toBeInstanceOf(RangeError);
  });

  it('leave no listener behind, whoever comes and goes in whatever order', () => {
    const step = fc.record({ who: fc.nat(5), comes: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { signal, abort } = bound();
        const told: string[] = [];
        const all = Array.from({ length: 6 }, (_, i) => follower(String(i), told));
        const there = new Set<number>();
        for (const { who, comes } of steps) {
          if (comes) followSignal(signal, all[who] as SignalFollower);
          else unfollowSignal(signal, all[who] as SignalFollower);
          if (comes) there.add(who);
          else there.delete(who);
          expect(listeners(signal)).toBe(there.size === 0 ? 0 : 1);
        }
        abort();
        expect(told.sort()).toEqual([...there].map((who) => `${who} x`).sort());
      }),
    );
  });
});

function bound(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort('x') };
}
