/** @module One watch of a file: notices that it may have changed, reads it a little later, and tells what is new. */
import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Runtime, type Scope, type ScopeWatcher, Timer } from '@fairlead/core';
import type { Watch } from '../watches.js';
import type { News } from './news.js';
import { type Place, placesOf } from './places.js';

/** How a {@link FileWatch} goes about it. */
export interface FileWatchOptions {
  /** How soon a change is read after it was noticed, in ms. */
  readonly settleMs: number;
  /** How often the file is read although nothing was noticed, ±10 %, in ms. */
  readonly refreshMs: number;
  /** A longer file is not read. */
  readonly maxBytes: number;
}

/** Its timer is the next reading, so there is never more than one under way. */
export class FileWatch extends Timer implements ScopeWatcher, Watch {
  override background = true;
  readonly #path: string;
  readonly #settings: FileWatchOptions;
  readonly #news: News;
  readonly #runtime: Runtime;
  #watchers: FSWatcher[] = [];
  /** What is watched, so that nothing is opened anew without need. */
  #watched = '';
  #reading = false;
  /** It has changed while it was read. */
  #changed = false;
  #stopped = false;

  constructor(path: string, settings: FileWatchOptions, news: News, scope: Scope, runtime: Runtime) {
    super();
    this.#path = path;
    this.#settings = settings;
    this.#news = news;
    this.#runtime = runtime;
    scope.watch(this);
  }

  /** Reads; also the first time. */
  fire(): void {
    if (!this.#stopped) void this.#round();
  }

  refresh(): void {
    this.#noticed();
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
