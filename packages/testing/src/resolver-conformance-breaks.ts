/** @module Conformance checks of what a resolver does while its source is down, silent or talks nonsense. */
import type { ResolverSource } from './resolver-conformance-source.js';
import { type Check, nameOf, story, type Watch, type Watching } from './resolver-conformance-watching.js';

/** How often an error may be told in ten seconds: more is a loop. */
const mostErrors = 100;

type Trouble = 'fail' | 'garble';

const troubles: readonly (readonly [Trouble, string])[] = [
  ['fail', 'is down'],
  ['garble', 'talks nonsense'],
];

const troubleChecks: readonly Check[] = troubles.flatMap(([trouble, what]) => [
  {
    name: `tells an error when its source ${what} at the start, and nothing else`,
    needs: [trouble],
    async run(watching: Watching) {
      await set(watching.source, trouble);
      const watch = watching.watch();
      await failed(watching, watch, 0);
      if (watch.snapshots.length > 0) throw new Error(`nothing is known, but a snapshot was told; ${story(watch)}`);
    },
  },
  {
    name: `takes nobody away when its source ${what} later, and tells who is there when it is back`,
    needs: [trouble, 'change'],
    async run(watching: Watching) {
      const [a, b, c] = watching.origins;
      const watch = await watching.knows(a, b);
      await set(watching.source, trouble);
      await failed(watching, watch, 0);
      await watching.pass();
      if (!watch.shows([a, b])) throw new Error(`expected that ${nameOf([a, b])} stay; ${story(watch)}`);
      await watching.show(b, c);
      await watching.until(
        watch,
        () => watch.shows([b, c]),
        `a snapshot of ${nameOf([b, c])} once the source was back`,
      );
    },
  },
  {
    name: `tells that all is well when its source ${what} and comes back as it was`,
    needs: [trouble, 'change'],
    async run(watching: Watching) {
      const [a] = watching.origins;
      const watch = await watching.knows(a);
      await set(watching.source, trouble);
      await failed(watching, watch, 0);
      const before = watch.snapshots.length;
      await watching.show(a);
      await watching.until(watch, () => watch.snapshots.length > before, 'a snapshot after the error');
    },
  },
]);

/** @internal */
export const breakChecks: readonly Check[] = [
  ...troubleChecks,
  {
    name: 'does not ask a source that is down in a loop',
    needs: ['fail'],
    async run(watching) {
      await set(watching.source, 'fail');
      const watch = watching.watch();
      await watching.clock.advance(10_000);
      if (watch.errors.length > mostErrors) throw new Error(`${watch.errors.length} errors were told within 10 s`);
    },
  },
  {
    name: 'tells nobody while its source is silent, and who is there when it speaks again',
    needs: ['hang', 'change'],
    async run(watching) {
      const [a, b] = watching.origins;
      await set(watching.source, 'hang');
      const watch = watching.watch();
      // Long enough that it has asked.
      await watching.clock.advance(1_000);
      if (watch.snapshots.length > 0) throw new Error(`nothing is known, but a snapshot was told; ${story(watch)}`);
      await watching.show(a, b);
      await watching.until(watch, () => watch.shows([a, b]), 'a snapshot once the source answers again');
    },
  },
  {
    name: 'has the truth in the end, whatever its source went through',
    needs: ['change'],
    async run(watching) {
      const { clock, source, origins } = watching;
      const states = (['fail', 'garble', 'hang'] as const).filter((state) => watching.can(state));
      const watch = await watching.knows(origins[0]);
      for (let round = 0; round < 30; round++) {
        const state = states[Math.floor(clock.random() * states.length * 2)];
        if (state !== undefined) {
          await set(source, state);
          await clock.advance(Math.floor(clock.random() * 3_000));
        }
        // Some of the three, and somebody if nobody cannot be.
        const now = origins.filter(() => clock.random() < 0.5);
        if (now.length === 0 && !watching.can('empty')) now.push(origins[round % 3] as string);
        await watching.show(...now);
        if (clock.random() < 0.5) continue;
        await watching.until(watch, () => watch.shows(now), `a snapshot of ${nameOf(now)} in round ${round}`);
      }
      await watching.show(...origins);
      await watching.until(watch, () => watch.shows(origins), `a snapshot of ${nameOf(origins)}`);
    },
  },
];

async function failed(watching: Watching, watch: Watch, before: number): Promise<void> {
  await watching.until(watch, () => watch.errors.length > before, 'an error');
}

async function set(source: ResolverSource, state: Trouble | 'hang'): Promise<void> {
  await source[state]?.();
}
