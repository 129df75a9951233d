// Catches: a check that passes whatever a resolver does, one that fails a resolver that is right, and messages that do not
// say what went wrong.
import {
  createEndpoint,
  later,
  type Resolver,
  type ResolverUpdate,
  type Scope,
  sleep,
  systemClock,
} from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { resolverConformance } from './resolver-conformance.js';
import type { ResolverSource } from './resolver-conformance-source.js';

type State = readonly string[] | 'fail' | 'garble' | 'hang';

/** What a resolver can do wrong. */
interface Wrong {
  readonly throwsAtOnce?: true;
  readonly rejects?: true;
  readonly goesOn?: true;
  readonly lastWord?: true;
  readonly leavesTimer?: true;
  readonly leavesQuestion?: true;
  readonly foreground?: true;
  readonly failureIsEmpty?: true;
  readonly failureIsSilent?: true;
  readonly garbageIsEmpty?: true;
  readonly givesUp?: true;
  readonly loops?: true;
  readonly deltas?: true;
  readonly oneByOne?: true;
  readonly emptyIsError?: true;
  readonly onlyNews?: true;
  readonly beginsEmpty?: true;
  readonly idByPlace?: true;
  readonly sameId?: true;
  readonly changesItsList?: true;
  readonly noEndpoint?: true;
  readonly nonsense?: true;
  readonly oneWatchOnly?: true;
  readonly endsAll?: true;
  readonly hangsForEver?: true;
  readonly noName?: true;
  readonly ignoresRefresh?: true;
}

/** A source that is asked every second, and a resolver that is right but for what it is told to do wrong. */
class Registry implements ResolverSource {
  state: State = 'fail';
  asking = 0;
  readonly resolver: Resolver;

  constructor(wrong: Wrong) {
    this.resolver = pollerOf(this, wrong);
  }
  show(origins: readonly string[]): void {
    this.state = origins;
  }
  fail(): void {
    this.state = 'fail';
  }
  garble(): void {
    this.state = 'garble';
  }
  hang(): void {
    this.state = 'hang';
  }
  held(): number {
    return this.asking;
  }
  async ask(scope: Scope, wrong: Wrong): Promise<unknown> {
    this.asking++;
    try {
      await sleep(scope.clock, 10, wrong.goesOn || wrong.leavesTimer ? null : scope);
      const { state } = this;
      if (state === 'hang')
        await sleep(scope.clock, wrong.hangsForEver ? 1e9 : 5_000, wrong.leavesTimer ? null : scope);
      if (state === 'fail' || state === 'hang') throw new Error('refused');
      return state === 'garble' ? { nonsense: true } : state;
    } finally {
      if (!wrong.leavesQuestion || !scope.canceled) this.asking--;
    }
  }
}

function pollerOf(registry: Registry, wrong: Wrong): Resolver {
  let watching: (() => void) | null = null;
  let scopes: Scope[] = [];
  return {
    name: wrong.noName ? '' : 'registry://payments',
    ...(wrong.ignoresRefresh ? { refresh: () => {} } : {}),
    watch(tell, scope) {
      const { clock } = scope;
      if (wrong.throwsAtOnce && registry.state === 'fail') throw new Error('mine');
      if (wrong.rejects) return Promise.reject(new Error('mine')) as never;
      if (wrong.oneWatchOnly && watching !== null) return;
      if (wrong.beginsEmpty) tell({ endpoints: [] });
      if (wrong.endsAll) {
        scopes.push(scope);
        scope.watch({
          onCancel: () => {
            for (const each of scopes) each.cancel();
            scopes = [];
          },
        });
      }
      let known: string[] = [];
      let before = '';
      const list: ReturnType<typeof createEndpoint>[] = [];
      const say = (update: ResolverUpdate): void => {
        if (!scope.canceled || wrong.goesOn) tell(update);
      };
      const trouble = (error: Error, garbage: boolean): void => {
        if (wrong.failureIsEmpty || (garbage && wrong.garbageIsEmpty)) say({ endpoints: [] });
        else if (!wrong.failureIsSilent) say({ error });
      };
      const made = (origins: readonly string[]): ReturnType<typeof createEndpoint>[] =>
        origins.map((origin, i) =>
          createEndpoint(origin, wrong.sameId ? { id: 'x' } : wrong.idByPlace ? { id: `${i}` } : {}),
        );
      const tellIt = (origins: readonly string[]): void => {
        const endpoints = made(origins);
        if (wrong.noEndpoint) say({ endpoints: origins.map((origin) => ({ origin })) as never });
        else if (wrong.nonsense) say({ endpoints, error: new Error('both') } as never);
        else if (wrong.oneByOne) for (let i = 1; i <= endpoints.length; i++) say({ endpoints: endpoints.slice(0, i) });
        else if (wrong.changesItsList) {
          list.splice(0, list.length, ...endpoints);
          say({ endpoints: list });
        } else say({ endpoints });
      };
      const found = (answer: unknown): void => {
        const origins = [...new Set(Array.isArray(answer) ? (answer as string[]) : [])];
        const said = JSON.stringify(origins);
        if (!Array.isArray(answer)) trouble(new Error('nonsense'), true);
        else if (wrong.emptyIsError && origins.length === 0) trouble(new Error('nobody'), false);
        else if (!wrong.onlyNews || said !== before) {
          tellIt(wrong.deltas ? origins.filter((origin) => !known.includes(origin)) : origins);
          before = said;
          known = origins;
        }
      };
      const again = (): void => {
        const next = wrong.loops ? 10 : wrong.ignoresRefresh ? 10_000 : 1_000;
        if (!scope.canceled || wrong.goesOn) timer = later(clock, next, () => void round(), !wrong.foreground);
      };
      let timer = later(clock, 0, () => void round(), true);
      const round = async (): Promise<void> => {
        try {
          found(await registry.ask(scope, wrong));
        } catch (error) {
          if (scope.canceled) return;
          trouble(error as Error, false);
          if (wrong.givesUp) return;
        }
        again();
      };
      watching = () => {
        if (!wrong.leavesTimer && !wrong.goesOn) clock.disarm(timer);
      };
      const mine = watching;
      scope.watch({ onCancel: mine });
      if (wrong.lastWord) scope.watch({ onCancel: (reason) => tell({ error: reason as Error }) });
    },
  };
}

const checksOf = (wrong: Wrong) => resolverConformance({ source: () => new Registry(wrong) });

async function failures(wrong: Wrong): Promise<Record<string, string>> {
  const failed: Record<string, string> = {};
  for (const { name, run } of checksOf(wrong)) {
    await run().catch((error: Error) => {
      failed[name] = error.message;
    });
  }
  return failed;
}

describe('resolverConformance', () => {
  for (const { name, run } of checksOf({})) it(`passes a resolver that ${name}`, run);

  it.each<[keyof Wrong, string, string]>([
    ['throwsAtOnce', 'tells an error when its source is down at the start, and nothing else', 'watch() threw'],
    ['rejects', 'tells everybody who is there', 'watch() rejected'],
    ['goesOn', 'says nothing after its scope has ended', 'left behind'],
    ['lastWord', 'says nothing after its scope has ended', 'told something after its scope had ended'],
    ['leavesTimer', 'can be ended while its source is down', 'left behind'],
    ['leavesQuestion', 'can be ended while its source is silent', 'held at the source'],
    ['foreground', 'does not keep the process alive', 'background'],
    ['failureIsEmpty', 'takes nobody away when its source is down later', '[] was never all that there is'],
    ['failureIsSilent', 'tells an error when its source is down at the start', 'nothing was told'],
    ['garbageIsEmpty', 'takes nobody away when its source talks nonsense later', '[] was never all that there is'],
    ['givesUp', 'takes nobody away when its source is down later', 'once the source was back'],
    ['loops', 'does not ask a source that is down in a loop', 'errors were told within 10 s'],
    ['deltas', 'tells a change as a whole snapshot', 'was never all that there is'],
    ['oneByOne', 'tells everybody who is there', 'was never all that there is'],
    ['emptyIsError', 'tells an empty source as nobody', 'expected a snapshot of nobody'],
    [
      'onlyNews',
      'tells that all is well when its source is down and comes back as it was',
      'a snapshot after the error',
    ],
    ['beginsEmpty', 'tells everybody who is there', 'was never all that there is'],
    ['idByPlace', 'gives an endpoint the same id', 'the id of'],
    ['sameId', 'tells everybody who is there', 'have the same id'],
    ['changesItsList', 'tells a change as a whole snapshot', 'was changed after it had been told'],
    ['noEndpoint', 'tells everybody who is there', 'use createEndpoint'],
    ['nonsense', 'tells everybody who is there', 'neither'],
    ['oneWatchOnly', 'serves several watches', 'for the second watch'],
    ['endsAll', 'serves several watches', 'expected a snapshot'],
    ['hangsForEver', 'tells nobody while its source is silent', 'once the source answers again'],
    ['noName', 'has a name', 'its name is ""'],
    ['ignoresRefresh', 'asks its source at once', 'after refresh() within 2000 ms'],
  ])('fails a resolver with the fault %s', async (fault, name, message) => {
    const failed = await failures({ [fault]: true });
    const [, told] = Object.entries(failed).find(([failing]) => failing.startsWith(name)) ?? [];
    expect(told, `failed: ${JSON.stringify(failed, null, 1)}`).toContain(message);
  });

  it('leaves out what a source cannot do, and nothing else', () => {
    const all = checksOf({}).map(({ name }) => name);
    const some = resolverConformance({ source: () => new Registry({}), cannot: ['fail', 'hang'] }).map(
      ({ name }) => name,
    );
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((name) => !some.includes(name)).every((name) => /down|silent/.test(name))).toBe(true);
    expect(some.length).toBeGreaterThan(all.length / 2);
  });

  it('wants to be told what a source cannot do', async () => {
    const source = (): ResolverSource => {
      const registry = new Registry({});
      return { resolver: registry.resolver, show: (origins) => registry.show(origins) };
    };
    const [first] = resolverConformance({ source });
    await expect(first?.run()).rejects.toThrow("cannot: ['fail']");
    const cannot = ['fail', 'garble', 'hang'] as const;
    for (const { run } of resolverConformance({ source, cannot })) await run();
  });

  it('releases the source after each check, also after one that fails', async () => {
    let open = 0;
    const source = (): ResolverSource => {
      open++;
      return Object.assign(new Registry({ noName: true }), { close: async () => void open-- });
    };
    await Promise.allSettled(resolverConformance({ source }).map(({ run }) => run()));
    expect(open).toBe(0);
  });

  it('waits in real time for what happens outside of the clock', async () => {
    const source = (): ResolverSource => {
      const registry = new Registry({});
      const { show } = registry;
      return Object.assign(registry, {
        show: (origins: readonly string[]) => void sleep(systemClock, 20).then(() => show.call(registry, origins)),
      });
    };
    const checks = resolverConformance({ source, withinMs: 60_000, outsideMs: 2_000 });
    const [check] = checks.filter(({ name }) => name.startsWith('tells a change'));
    await check?.run();
  });
});
