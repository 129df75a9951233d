/** @module Whether a test, or a policy, left something behind. The messages name what. */
import { getEventListeners } from 'node:events';
import { type Scope, sleep, systemClock } from '@fairlead/core';
import type { ScriptedBackend } from './scripted.js';
import type { VirtualClock } from './virtual-clock.js';

/** Where to look. */
export interface LeakCheck {
  /** No timer may be armed, in the background neither. */
  readonly clock?: VirtualClock;
  /** No request may wait for its reply, and no reply may be open. */
  readonly backend?: ScriptedBackend | readonly ScriptedBackend[];
  /** Nothing may hang on them: children, watchers, a timeout. */
  readonly scopes?: readonly Scope[];
  /** Nobody may listen to their `abort`. */
  readonly signals?: readonly AbortSignal[];
}

/** @throws Error that lists everything that was left behind */
export function checkLeaks(where: LeakCheck): void {
  const leaks = [
    ...timerLeaks(where.clock),
    ...[where.backend ?? []].flat().flatMap(backendLeaks),
    ...(where.scopes ?? []).flatMap(scopeLeaks),
    ...(where.signals ?? []).flatMap(signalLeaks),
  ];
  if (leaks.length > 0) throw new Error(`left behind: ${leaks.join('; ')}`);
}

function timerLeaks(clock: VirtualClock | undefined): string[] {
  return (clock?.armed ?? []).map(
    (timer) =>
      `an armed ${timer.background ? 'background ' : ''}timer (${timer.constructor.name}, due at ${timer.due} ms)`,
  );
}

function backendLeaks(backend: ScriptedBackend): string[] {
  const leaks: string[] = [];
  if (backend.waiting > 0) leaks.push(`${backend.waiting} request(s) waiting for a reply`);
  if (backend.open > 0) leaks.push(`${backend.open} open reply(s)`);
  return leaks;
}

function scopeLeaks(scope: Scope, index: number): string[] {
  return scope.busy ? [`something on scope ${index} (a child, a watcher or a timeout)`] : [];
}

function signalLeaks(signal: AbortSignal, index: number): string[] {
  const count = getEventListeners(signal, 'abort').length;
  return count > 0 ? [`${count} abort listener(s) on signal ${index}`] : [];
}

/** What {@link countResources} gives. */
export interface ResourceCount {
  /**
   * Waits until the process has no more of any resource than when the count was taken.
   * @param withinMs real time to wait, since sockets close in their own time; default 1000
   * @throws Error that names what is still there
   */
  check(withinMs?: number): Promise<void>;
}

/**
 * Counts what keeps this process alive, real sockets and timers, to be compared later. For tests whose subject is a real
 * process; what is unreferenced is not seen.
 */
export function countResources(): ResourceCount {
  const before = tally();
  return {
    async check(withinMs = 1_000) {
      const until = systemClock.now() + withinMs;
      for (;;) {
        const more = growth(before, tally());
        if (more.length === 0) return;
        if (systemClock.now() >= until) throw new Error(`left behind after ${withinMs} ms: ${more.join('; ')}`);
        await sleep(systemClock, 5);
      }
    },
  };
}

function tally(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

function growth(before: Map<string, number>, now: Map<string, number>): string[] {
  const more: string[] = [];
  for (const [type, count] of now) {
    const extra = count - (before.get(type) ?? 0);
    if (extra > 0) more.push(`${extra} ${type}`);
  }
  return more;
}
