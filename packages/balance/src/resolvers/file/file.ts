/** @module Endpoints from a file, read again when it changes. */
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Checks, ConfigError, checks, type Resolver, resolveOptions } from '@fairlead/core';
import { Watches } from '../watches.js';
import { FileWatch, type FileWatchOptions } from './file-watch.js';
import { News } from './news.js';

/** What {@link file} needs to know. */
export interface FileOptions extends FileWatchOptions {
  /** Path of the file; a relative one is taken from where the process stands when the resolver is made. */
  readonly path: string;
  /** Which service, in a file with several. Default null: the file holds one. */
  readonly service: string | null;
  /** How soon a change is read after it was noticed, in ms: writers write in several steps. Default 50. */
  readonly settleMs: number;
  /** How often the file is read although nothing was noticed, ±10 %, in ms. Default 30,000. */
  readonly refreshMs: number;
  /** A longer file is not read. Default 16,777,216 (16 MiB). */
  readonly maxBytes: number;
}

/** See {@link FileOptions}. */
export const fileDefaults: Readonly<Omit<FileOptions, 'path'>> = Object.freeze({
  service: null,
  settleMs: 50,
  refreshMs: 30_000,
  maxBytes: 16_777_216,
});

const fileChecks: Checks<FileOptions> = {
  path: checks.text(),
  service: checks.orNull(checks.text()),
  settleMs: checks.ms(),
  refreshMs: checks.ms(10),
  maxBytes: checks.integer(1),
};

/**
 * A resolver that reads a file of JSON, in Fairlead's own form or that of Prometheus' target groups (`file_sd_configs`),
 * and reads it again when it changes: written in place, replaced by another, or reached by symbolic links one of which is
 * turned elsewhere, as in a ConfigMap or Secret that Kubernetes mounts. Folders are watched (`fs.watch`), not the file; for
 * file systems that do not tell of changes, and for what a watch may miss, it is also read every `refreshMs`.
 *
 * A file without endpoints is an answer: nobody. One that is missing, cannot be read or is not all right is told as an
 * error, with everything that is wrong, and leaves the last good content in force.
 * @throws ConfigError on unknown or wrong options
 */
export function file(options: Partial<FileOptions> & { readonly path: string }): Resolver {
  // Null rather than undefined, which would count as not given.
  const given = { ...options, path: options.path ?? null };
  const settings = resolveOptions<FileOptions>('file', given, { ...fileDefaults, path: given.path }, fileChecks);
  const path = resolve(settings.path);
  const { service } = settings;
  const name = `${pathToFileURL(path).href}${service === null ? '' : `#${encodeURIComponent(service)}`}`;
  const watches = new Watches();
  return {
    name,
    refresh: () => watches.refresh(),
    watch(tell, scope, runtime) {
      watches.add(new FileWatch(path, settings, new News(name, service, tell), scope, runtime), scope).fire();
    },
  };
}

/**
 * Reads `file:///etc/payments.json`, `file:./payments.json`, and either with `#payments` for one of several services. After
 * `file://` it is a URL: `%20` is a space, and `%23` and `%2C` are how a number sign and a comma are written.
 * @throws ConfigError if it is none of that
 */
export function fileOf(source: string): Resolver {
  const [, where = '', fragment] = /^file:([^#]*)(?:#(.*))?$/is.exec(source) ?? [];
  try {
    const path = where.startsWith('//') ? fileURLToPath(`file:${where}`) : where;
    const service = fragment === undefined ? null : decodeURIComponent(fragment);
    if (path !== '' && service !== '') return file({ path, service });
  } catch {
    // Another host, or a percent sign that encodes nothing.
  }
  const expected = 'file:///path/of/file.json or file:./file.json, and #service if it holds several';
  throw new ConfigError([{ name: 'source', value: source, expected }]);
}
