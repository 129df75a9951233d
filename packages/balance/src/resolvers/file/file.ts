/** @module Endpoints from a file, read again when it changes. */
import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  type Checks,
  ConfigError,
  checks,
  type Resolver,
  type Runtime,
  resolveOptions,
  type Scope,
  type ScopeWatcher,
  Timer,
} from '@fairlead/core';
import { News } from './news.js';
import { type Place, placesOf } from './places.js';

/** What {@link file} needs to know. */
export interface FileOptions {
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
  const settings = resolveOptions<FileOptions>('file', given, { ...fileDefaults, ...given }, fileChecks);
  const path = resolve(settings.path);
  const { service } = settings;
  const name = `${pathToFileURL(path).href}${service === null ? '' : `#${encodeURIComponent(service)}`}`;
  return {
    name,
    watch(tell, scope, runtime) {
      new FileWatch(path, settings, new News(name, service, tell), scope, runtime).fire();
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

/** One watch. Its timer is the next reading, so there is never more than one under way. */
class FileWatch extends Timer implements ScopeWatcher {
  override background = true;
  readonly #path: string;
  readonly #settings: Readonly<FileOptions>;
  readonly #news: News;
  readonly #runtime: Runtime;
  #watchers: FSWatcher[] = [];
  /** What is watched, so that nothing is opened anew without need. */
  #watched = '';
  #reading = false;
  /** It has changed while it was read. */
  #changed = false;
  #stopped = false;

  constructor(path: string, settings: Readonly<FileOptions>, news: News, scope: Scope, runtime: Runtime) {
    super();
    this.#path = path;
    this.#settings = settings;
    this.#news = news;
    this.#runtime = runtime;
    scope.watch(this);
  }

  fire(): void {
    if (!this.#stopped) void this.#round();
  }

  onCancel(): void {
    this.#stopped = true;
    this.#runtime.clock.disarm(this);
    this.#follow([]);
  }

  async #round(): Promise<void> {
    this.#reading = true;
    this.#changed = false;
    try {
      // Watched before it is read: whatever changes from here on is read after this.
      await this.#watch();
      const bytes = await this.#read();
      if (!this.#stopped) this.#news.read(bytes);
    } catch (error) {
      if (!this.#stopped) this.#news.failed(error as Error);
    }
    this.#reading = false;
    if (this.#stopped) return;
    const { clock } = this.#runtime;
    const { settleMs, refreshMs } = this.#settings;
    this.#again(this.#changed ? settleMs : refreshMs * (0.9 + 0.2 * clock.random()));
  }

  #again(ms: number): void {
    const { clock } = this.#runtime;
    clock.arm(this, clock.now() + ms);
  }

  async #read(): Promise<Uint8Array> {
    const { maxBytes } = this.#settings;
    try {
      // Looked at first: to open a pipe or a device could take for ever, and one of the four threads with it.
      const about = await stat(this.#path);
      if (!about.isFile()) throw new Error('it is not a file');
      const bytes = about.size > maxBytes ? null : await readFile(this.#path);
      if (bytes === null || bytes.length > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`);
      return bytes;
    } catch (error) {
      throw new Error(`${this.#path} cannot be read: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Makes sure that every folder in which a change can show is watched. */
  async #watch(): Promise<void> {
    // Again until nothing has moved meanwhile; more often than a few times, and the next change or reading settles it.
    for (let round = 0; round < 5; round++) {
      const places = await placesOf(this.#path);
      const wanted = places.map(({ folder, id, names }) => `${folder} ${id} ${[...names]}`).join('\n');
      if (this.#stopped || wanted === this.#watched) return;
      this.#watched = this.#follow(places) ? wanted : '';
    }
  }

  #follow(places: readonly Place[]): boolean {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    try {
      for (const place of places) this.#watchers.push(this.#watcher(place));
      return true;
    } catch {
      // Not possible here, or no longer: it is read from time to time all the same, and this is tried again.
      return false;
    }
  }

  #watcher({ folder, names }: Place): FSWatcher {
    const watcher = watch(folder, { persistent: false }, (_event, name) => {
      // Without a name it may be ours; with that of the folder it is the folder itself that has moved.
      if (name === null || names.has(name) || name === basename(folder)) this.#noticed();
    });
    // Windows says so when the folder is deleted.
    return watcher.on('error', () => {
      this.#watched = '';
      watcher.close();
    });
  }

  #noticed(): void {
    if (this.#reading) {
      this.#changed = true;
      return;
    }
    const { clock } = this.#runtime;
    // Not put off by further changes, or a busy folder could do that for ever.
    if (!this.#stopped && this.due > clock.now() + this.#settings.settleMs) this.#again(this.#settings.settleMs);
  }
}
