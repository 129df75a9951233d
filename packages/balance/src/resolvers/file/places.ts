/** @module Where a change of a file shows: in its folder, and in that of every symbolic link on the way to it. */
import { readlink, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, parse, sep } from 'node:path';

/** A folder, and the names in it that matter. */
export interface Place {
  readonly folder: string;
  readonly names: ReadonlySet<string>;
  /** Tells this folder from another that takes its place. */
  readonly id: string;
}

/** As many links as Linux follows. */
const maxLinks = 40;

/**
 * The folders to watch for changes of the file at `path` (absolute). Watching the file itself would not do: a file that
 * is renamed over it, and a link that is turned elsewhere, as Kubernetes does with `..data` in every ConfigMap, are other
 * files, and a watch stays with the old one. Where a folder does not exist yet, that is watched in which it will appear.
 */
export async function placesOf(path: string): Promise<Place[]> {
  const names = new Map<string, Set<string>>();
  const watch = (at: string): void => {
    const folder = dirname(at);
    names.set(folder, (names.get(folder) ?? new Set()).add(basename(at)));
  };
  let at = parse(path).root;
  let ahead = path.slice(at.length).split(sep);
  let links = 0;
  while (ahead.length > 0) {
    const next = join(at, ahead.shift() as string);
    const target = await linkAt(next);
    if (target === null || ahead.length === 0 || target !== undefined) watch(next);
    if (target === null || (target !== undefined && ++links > maxLinks)) break;
    if (target === undefined) at = next;
    else {
      if (isAbsolute(target)) at = parse(target).root;
      ahead = [...target.split(sep), ...ahead];
    }
  }
  return Promise.all([...names].map(async ([folder, wanted]) => ({ folder, names: wanted, id: await idOf(folder) })));
}

/** Where the link at `path` leads; undefined if there is something else, null if there is nothing. */
async function linkAt(path: string): Promise<string | null | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : undefined;
  }
}

async function idOf(folder: string): Promise<string> {
  try {
    // An inode may be given to the next folder at once; the time at which it was made tells them apart.
    const { dev, ino, birthtimeMs } = await stat(folder);
    return `${dev} ${ino} ${birthtimeMs}`;
  } catch {
    return 'gone';
  }
}
