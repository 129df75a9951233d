/** @module A folder of a test, and file resolvers that watch files in it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, type Endpoint, type ResolverUpdate, Scope, sleep, systemClock } from '@fairlead/core';
import { afterEach, beforeEach } from 'vitest';
import { type FileOptions, file } from '../src/resolvers/file/file.js';

let folder: string;

/** The scopes of all watches of this test. */
export const scopes: Scope[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-file-'));
});

afterEach(() => {
  for (const scope of scopes.splice(0)) scope.cancel();
  rmSync(folder, { recursive: true, force: true });
});

/** A path in the folder of this test. */
export const at = (...names: string[]): string => join(folder, ...names);

/** A document with these hosts. */
export const content = (...hosts: string[]): string =>
  JSON.stringify({ endpoints: hosts.map((host) => `http://${host}`) });

/** One watch, and all that it was told. */
export class Watched {
  readonly told: ResolverUpdate[] = [];
  readonly scope: Scope;
  constructor(options: Partial<FileOptions> & { readonly path: string }, clock: Clock = systemClock) {
    this.scope = new Scope(clock);
    scopes.push(this.scope);
    file({ settleMs: 5, ...options }).watch((update) => this.told.push(update), this.scope, { clock });
  }
  /** The hosts, or the message of the error, that was told last. */
  get last(): string | undefined {
    const update = this.told.at(-1);
    return update && ('error' in update ? update.error.message : hosts(update.endpoints));
  }
}

function hosts(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ origin }) => origin.slice('http://'.length)).join(' ');
}

/** Waits in real time: what is waited for comes from the file system. */
export async function until(condition: () => boolean, what: () => unknown): Promise<void> {
  const end = systemClock.now() + 5_000;
  while (!condition()) {
    if (systemClock.now() > end) throw new Error(`it is still ${JSON.stringify(what())}: ${condition}`);
    await sleep(systemClock, 2);
  }
}

/** Waits until that is what was told last. */
export async function says(watched: Watched, expected: string | RegExp): Promise<void> {
  const right = (): boolean =>
    typeof expected === 'string' ? watched.last === expected : expected.test(watched.last ?? '');
  await until(right, () => [watched.last, String(expected)]);
}

/** Long enough for everything that may happen by mistake: notices come within a few ms. */
export async function quiet(): Promise<void> {
  await sleep(systemClock, 60);
}

/** Whether {@link watches} can be counted here. */
export const countable: boolean = process.platform === 'linux';

/** What this process watches in the file system, as Linux counts it: Node does not tell of what keeps nothing alive. */
export function watches(): number {
  const folder = '/proc/self/fdinfo';
  const lines = (countable ? readdirSync(folder) : []).flatMap((fd) => {
    try {
      return readFileSync(join(folder, fd), 'utf8').split('\n');
    } catch {
      return []; // Closed meanwhile.
    }
  });
  return lines.filter((line) => line.startsWith('inotify wd:')).length;
}
