/** @module Conformance checks of what a resolver tells while its source is well. */
import type { Endpoint } from '@fairlead/core';
import { type Check, nameOf, story, type Watch } from './resolver-conformance-watching.js';

/** What is asked at once is known within so many ms of virtual time. */
const atOnceMs = 2_000;

/** @internal */
export const tellChecks: readonly Check[] = [
  {
    name: 'has a name, always the same',
    needs: [],
    async run(watching) {
      await watching.show(watching.origins[0]);
      const { name } = watching.source.resolver;
      if (typeof name !== 'string' || name === '') throw new Error(`its name is ${JSON.stringify(name)}`);
      if (watching.source.resolver.name !== name) throw new Error('its name changes');
    },
  },
  {
    name: 'tells everybody who is there, whatever their order and however often one is named',
    needs: [],
    async run(watching) {
      const [a, b, c] = watching.origins;
      const watch = await watching.knows(b, a, c, b);
      idsOf(watch);
    },
  },
  {
    name: 'does not keep the process alive while it waits for changes',
    needs: [],
    async run(watching) {
      const watch = await watching.knows(watching.origins[0]);
      await watching.clock.advance(0);
      if (watching.clock.pendingForeground > 0) {
        throw new Error(`its timer keeps the process alive (make it a background timer); ${story(watch)}`);
      }
    },
  },
  {
    name: 'tells a change as a whole snapshot, never as a part of it',
    needs: ['change'],
    async run(watching) {
      const [a, b, c] = watching.origins;
      const watch = await watching.knows(a, b);
      for (const now of [[b, c], [c], [a, b, c]]) {
        await watching.show(...now);
        await watching.until(watch, () => watch.shows(now), `a snapshot of ${nameOf(now)}`);
      }
    },
  },
  {
    name: 'asks its source at once when it is told to look again, if it can be told',
    needs: ['change'],
    async run(watching) {
      const [a, b] = watching.origins;
      const { resolver } = watching.source;
      // Nobody watches yet: there is nobody whom it could be for.
      resolver.refresh?.();
      const watch = await watching.knows(a);
      if (resolver.refresh === undefined) return;
      await watching.show(b);
      resolver.refresh();
      await watching.until(watch, () => watch.shows([b]), `a snapshot of ${b} after refresh()`, atOnceMs);
      watch.scope.cancel();
      resolver.refresh();
      await watching.pass();
    },
  },
  {
    name: 'tells an empty source as nobody',
    needs: ['empty'],
    async run(watching) {
      await watching.knows();
    },
  },
  {
    name: 'tells that everybody has left, and that they are back',
    needs: ['empty', 'change'],
    async run(watching) {
      const watch = await watching.knows(watching.origins[0]);
      for (const now of [[], [watching.origins[0]]]) {
        await watching.show(...now);
        await watching.until(watch, () => watch.shows(now), `a snapshot of ${nameOf(now)}`);
      }
    },
  },
  {
    name: 'gives an endpoint the same id in every snapshot and every watch',
    needs: ['change'],
    async run(watching) {
      const [a, b, c] = watching.origins;
      const watch = await watching.knows(a, b);
      const before = idsOf(watch);
      await watching.show(c, b, a);
      await watching.until(watch, () => watch.shows([a, b, c]), `a snapshot of ${nameOf([a, b, c])}`);
      const other = watching.watch();
      await watching.until(other, () => other.shows([a, b, c]), `a snapshot of ${nameOf([a, b, c])}`);
      for (const after of [idsOf(watch), idsOf(other)]) {
        for (const [origin, id] of before) {
          if (after.get(origin) !== id) throw new Error(`the id of ${origin} was ${id} and is ${after.get(origin)}`);
        }
      }
    },
  },
];

/** The ids of the latest snapshot by origin. @throws Error if two endpoints share one */
function idsOf(watch: Watch): ReadonlyMap<string, string> {
  const ids = new Map<string, string>();
  for (const { origin, id } of (watch.snapshots.at(-1)?.endpoints ?? []) as readonly Endpoint[]) {
    for (const [other, taken] of ids) {
      if (taken === id && other !== origin) throw new Error(`${other} and ${origin} have the same id ${id}`);
    }
    ids.set(origin, id);
  }
  return ids;
}
