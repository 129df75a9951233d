/** @module Conformance checks of how a watch begins and ends, and of several at once. */
import { type Check, nameOf, story, type Watching } from './resolver-conformance-watching.js';

/** @internal */
export const endChecks: readonly Check[] = [
  {
    name: 'says nothing after its scope has ended, and leaves nothing behind',
    needs: ['change'],
    async run(watching) {
      const [a, b] = watching.origins;
      const watch = await watching.knows(a);
      watch.scope.cancel();
      await watching.show(a, b);
      await watching.pass();
    },
  },
  {
    name: 'can be ended from within what it tells',
    needs: [],
    async run(watching) {
      await watching.show(watching.origins[0]);
      const watch = watching.watch(({ scope }) => scope.cancel());
      await watching.until(watch, () => watch.told > 0, 'a snapshot');
    },
  },
  {
    name: 'can be ended before its first answer',
    needs: [],
    async run(watching) {
      await watching.show(watching.origins[0]);
      watching.watch().scope.cancel();
      await watching.pass();
    },
  },
  {
    name: 'says nothing to a scope that had ended before',
    needs: [],
    async run(watching) {
      await watching.show(watching.origins[0]);
      watching.watch(undefined, true);
      await watching.pass();
    },
  },
  {
    name: 'can be ended while its source is down',
    needs: ['fail'],
    async run(watching) {
      await watching.source.fail?.();
      const watch = watching.watch();
      await watching.until(watch, () => watch.errors.length > 0, 'an error');
    },
  },
  {
    name: 'can be ended while its source is silent',
    needs: ['hang'],
    async run(watching) {
      await watching.source.hang?.();
      const watch = watching.watch();
      await watching.clock.advance(100);
      if (watch.snapshots.length > 0) throw new Error(`nothing is known, but a snapshot was told; ${story(watch)}`);
    },
  },
  {
    name: 'serves several watches that know nothing of one another',
    needs: ['change'],
    async run(watching) {
      const [a, b, c] = watching.origins;
      const first = await watching.knows(a);
      const second = watching.watch();
      await watching.until(second, () => second.shows([a]), `a snapshot of ${a} for the second watch`);
      await watching.show(a, b);
      for (const watch of [first, second]) await seen(watching, watch, [a, b]);
      first.scope.cancel();
      await watching.show(c);
      await seen(watching, second, [c]);
    },
  },
  {
    name: 'can be watched again after everybody has left',
    needs: [],
    async run(watching) {
      const [a, b] = watching.origins;
      const watch = await watching.knows(a);
      watch.scope.cancel();
      await watching.clock.advance(0);
      const now = watching.can('change') ? [a, b] : [a];
      if (watching.can('change')) await watching.show(...now);
      await seen(watching, watching.watch(), now);
    },
  },
];

async function seen(
  watching: Watching,
  watch: ReturnType<Watching['watch']>,
  origins: readonly string[],
): Promise<void> {
  await watching.until(watch, () => watch.shows(origins), `a snapshot of ${nameOf(origins)}`);
}
