/** @module Checks that every resolver has to pass, a user's too, for whatever test framework there is. */
import { breakChecks } from './resolver-conformance-breaks.js';
import { endChecks } from './resolver-conformance-ends.js';
import type { ResolverConformanceOptions } from './resolver-conformance-source.js';
import { tellChecks } from './resolver-conformance-tells.js';
import { type Check, Watching } from './resolver-conformance-watching.js';
import { VirtualClock } from './virtual-clock.js';

/** One thing that a resolver has to do. */
export interface ResolverCheck {
  /** What it has to do, as the name of a test. */
  readonly name: string;
  /** Rejects with an error that says what the resolver did instead, and all that it told. */
  readonly run: () => Promise<void>;
}

/**
 * The checks of the resolver contract, to be run one by one by any framework. Each has a source and a clock of its own.
 * @example
 * for (const { name, run } of resolverConformance({ source: (clock) => new Registry(clock) })) it(name, run);
 */
export function resolverConformance(options: ResolverConformanceOptions): readonly ResolverCheck[] {
  const cannot = new Set(options.cannot ?? []);
  return [...tellChecks, ...breakChecks, ...endChecks]
    .filter(({ needs }) => !needs.some((ability) => cannot.has(ability)))
    .map((check) => ({ name: check.name, run: () => run(check, options, cannot) }));
}

async function run(check: Check, options: ResolverConformanceOptions, cannot: ReadonlySet<string>): Promise<void> {
  const clock = new VirtualClock();
  const source = await options.source(clock);
  try {
    for (const ability of ['fail', 'garble', 'hang'] as const) {
      if (source[ability] === undefined && !cannot.has(ability)) {
        throw new Error(`the source has no ${ability}(): write one, or say cannot: ['${ability}']`);
      }
    }
    const watching = new Watching(source, clock, options);
    await check.run(watching);
    await watching.end();
  } finally {
    await source.close?.();
  }
}
