/** @module The last good answer of another resolver, kept on disk for a process that starts while the source is down. */
import { join } from 'node:path';
import { type Checks, check, checks, type Resolver, resolveOptions } from '@fairlead/core';
import { refreshOf } from '../watches.js';
import { RememberWatch, type RememberWatchOptions } from './remember-watch.js';

/** What {@link remember} can be told. */
export interface RememberOptions extends RememberWatchOptions {
  /** Folder of the files, made if it is not there, for this user alone. Any number of processes can share it. */
  readonly folder: string;
}

/** See {@link RememberOptions}. */
export const rememberDefaults: Readonly<Omit<RememberOptions, 'resolver' | 'service' | 'folder'>> = Object.freeze({
  maxAgeMs: 86_400_000,
  patienceMs: 500,
  writeEveryMs: 10_000,
});

const isResolver = (value: unknown): boolean => typeof (Object(value) as Partial<Resolver>).watch === 'function';

const rules: Checks<RememberOptions> = {
  resolver: check('a resolver', isResolver),
  service: checks.text(),
  folder: checks.text(),
  maxAgeMs: checks.ms(1_000),
  patienceMs: checks.ms(),
  writeEveryMs: checks.ms(1),
};

/**
 * A resolver that tells what `resolver` tells, and keeps it on disk. If the source fails or is silent when a watch begins,
 * it tells what was remembered, as a {@link RememberedSnapshot} that says how old it is, until the source answers.
 *
 * What is remembered counts only if all of it is right: format, service, source, age, and every endpoint. That the source
 * has nobody is an answer too; it is remembered by forgetting. While the source is well, the file is renewed although
 * nothing changes, so its age is that of the outage. What goes wrong with the file is a `memory.failed` event, and
 * changes nothing else; that it has to do is a `memory.recalled`.
 * @throws ConfigError on unknown, missing or wrong options
 */
export function remember(
  options: Partial<RememberOptions> & Pick<RememberOptions, 'resolver' | 'service' | 'folder'>,
): Resolver {
  const { resolver, service, folder } = options;
  const must = { resolver: resolver ?? (null as never), service: service ?? (null as never) };
  // What must be given and is not should fail its check rather than count as not given.
  const given = { ...options, ...must, folder: folder ?? (null as never) };
  const settings = resolveOptions<RememberOptions>(
    'remember',
    given,
    { ...rememberDefaults, resolver, service, folder },
    rules,
  );
  // A service may be called anything; `..` and what has slashes in it is no name for a file.
  const path = join(folder, `${encodeURIComponent(service).replace(/^\./, '%2E')}.json`);
  return {
    ...refreshOf([resolver]),
    name: resolver.name,
    watch(tell, scope, runtime) {
      new RememberWatch(settings, path, tell, scope, runtime).start();
    },
  };
}
