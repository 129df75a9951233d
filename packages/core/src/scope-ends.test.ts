/**
 * Would catch: a deadline that is not the earliest above, or that a blocked event loop hides; a listener that stays on a
 * signal of the caller; a signal of our own that does not abort, or aborts when the work is over.
 */
import { getEventListeners } from 'node:events';
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { TimeoutError } from './errors.js';
import { Scope } from './scope.js';

const clock = new VirtualClock();
const root = (): Scope => new Scope(clock);

describe('time', () => {
  it('ends the scope with an error that says whose time it was', async () => {
    const scope = root();
    const below = scope.child();
    const start = clock.now();
    scope.expireAt(start + 50, 'attempt', 50);
    await clock.advance(49.9);
    expect([scope.canceled, scope.expired(), Math.round(scope.remainingMs() * 10)]).toEqual([false, false, 1]);
    await clock.advance(0.1);
    expect(below.reason).toMatchObject({ of: 'attempt', ms: 50, code: 'ERR_TIMEOUT' });
    expect([scope.remainingMs(), below.remainingMs(), clock.pending]).toEqual([0, 0, 0]);
  });

  it('is the earliest of all above, also of what is set later', () => {
    const top = root();
    const early = top.child();
    const leaf = early.child();
    const start = clock.now();
    expect([leaf.deadlineAt, leaf.remainingMs()]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
    leaf.expireAt(start + 80, 'attempt', 80);
    top.expireAt(start + 100, 'call', 100);
    expect([top, early, leaf, early.child()].map((each) => each.deadlineAt - start)).toEqual([100, 100, 80, 100]);
    early.expireAt(start + 30, 'call', 30);
    expect([top, early, leaf].map((each) => each.deadlineAt - start)).toEqual([100, 30, 30]);
    early.dropTimeout();
    expect([top, early, leaf].map((each) => each.deadlineAt - start)).toEqual([100, 100, 80]);
    top.cancel();
    expect(clock.pending).toBe(0);
  });

  it('ignores what is later than the deadline it has, and what is no number', async () => {
    const top = root();
    const start = clock.now();
    top.expireAt(start + 10, 'call', 10);
    const below = top.child();
    below.expireAt(start + 10, 'attempt', 10);
    below.expireAt(start + 20, 'attempt', 20);
    below.expireAt(Number.NaN, 'attempt', 0);
    expect([below.armed, clock.pending]).toEqual([false, 1]);
    top.expireAt(start + 5, 'call', 5);
    expect(clock.pending).toBe(1);
    await clock.advance(5);
    expect(below.reason).toMatchObject({ of: 'call', ms: 5 });
  });

  it('can be taken back, and set again', async () => {
    const scope = root();
    scope.expireAt(clock.now() + 10, 'attempt', 10);
    scope.dropTimeout();
    scope.dropTimeout();
    await clock.advance(20);
    expect([scope.canceled, scope.deadlineAt, clock.pending]).toEqual([false, Number.POSITIVE_INFINITY, 0]);
    scope.expireAt(clock.now() + 10, 'attempt', 10);
    await clock.advance(10);
    expect(scope.canceled).toBe(true);
    scope.expireAt(clock.now() + 10, 'attempt', 10);
    expect(clock.pending).toBe(0);
  });

  it('is noticed although the event loop was blocked: the timeout that came first is the reason', () => {
    const top = root();
    const attempt = top.child();
    const leaf = attempt.child();
    top.expireAt(clock.now() + 100, 'call', 100);
    attempt.expireAt(clock.now() + 50, 'attempt', 50);
    leaf.throwIfExpired();
    clock.block(200);
    expect([leaf.canceled, leaf.expired(), leaf.remainingMs()]).toEqual([false, true, 0]);
    expect(() => leaf.throwIfExpired()).toThrow(TimeoutError);
    expect([leaf.reason, attempt.reason, top.reason]).toMatchObject([
      { of: 'attempt' },
      { of: 'attempt' },
      { of: 'call' },
    ]);
    expect(clock.pending).toBe(0);
  });
});

describe('follow', () => {
  const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

  it('cancels when a signal aborts, and lets go of all of them', () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const scope = root();
    scope.follow(one.signal);
    scope.follow(two.signal);
    two.abort('gone');
    expect(scope.reason).toMatchObject({ code: 'ERR_CANCELED', cause: 'gone' });
    expect([listeners(one.signal), listeners(two.signal)]).toEqual([0, 0]);
  });

  it.each(['close', 'cancel'] as const)('lets go with %s', (end) => {
    const [one, two] = [new AbortController(), new AbortController()];
    const scope = root();
    scope.follow(one.signal);
    scope.follow(two.signal);
    expect([listeners(one.signal), listeners(two.signal)]).toEqual([1, 1]);
    scope[end]();
    expect([listeners(one.signal), listeners(two.signal)]).toEqual([0, 0]);
    one.abort();
    expect(scope.canceled).toBe(end === 'cancel');
    scope.follow(two.signal);
    expect(listeners(two.signal)).toBe(0);
  });

  it('cancels at once if the signal has aborted already', () => {
    const scope = root();
    scope.follow(AbortSignal.abort('before'));
    expect(scope.reason).toMatchObject({ code: 'ERR_CANCELED', cause: 'before' });
  });
});

describe('signal', () => {
  it('is made when asked for, once, and aborts with the reason', () => {
    const scope = root();
    const { signal } = scope;
    expect([signal.aborted, scope.signal === signal]).toEqual([false, true]);
    scope.cancel('why');
    expect([signal.aborted, signal.reason]).toEqual([true, 'why']);
    const late = root();
    late.cancel('before');
    expect([late.signal.aborted, late.signal.reason]).toEqual([true, 'before']);
  });

  it('does not abort when the work is over', () => {
    const scope = root();
    const { signal } = scope;
    scope.close();
    scope.cancel();
    expect([signal.aborted, scope.canceled]).toEqual([false, false]);
  });
});
