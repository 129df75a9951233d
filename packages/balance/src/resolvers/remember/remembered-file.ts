/**
 * @module The last good endpoints of a service in a file: written as a whole or not at all, and believed only if
 * everything in it is right.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, createEndpoint, type Endpoint } from '@fairlead/core';

/** What the file begins with; another number is another format. */
const format = 'fairlead-endpoints/1';

/** Bytes of a file at most: 20,000 endpoints with everything that Kubernetes knows of them are 10 MB. */
const maxFileBytes = 33_554_432;

/** @internal Whose endpoints they are, and where they came from. */
export interface RememberedOf {
  readonly service: string;
  /** Name of the resolver. */
  readonly source: string;
}

/** @internal What a file says. */
export interface Remembered extends RememberedOf {
  /** Ms since 1970 at which the source was last known to say so. */
  readonly savedAt: number;
  readonly endpoints: readonly Endpoint[];
}

/**
 * @internal Reads a file. At once, not in the background: it is read once in the life of a watch, and only if the source
 * does not answer, while every call waits for it.
 * @returns null if there is none
 * @throws Error that says what is wrong with it
 */
export function readRemembered(path: string, { service, source }: RememberedOf): Remembered | null {
  const text = textOf(path);
  if (text === null) return null;
  const { format: written, ...rest } = Object(JSON.parse(text)) as Partial<Remembered> & { format?: unknown };
  if (written !== format) throw new Error(`it is not in the format ${format}`);
  if (rest.service !== service) throw new Error(`it is about the service ${String(rest.service)}`);
  if (rest.source !== source) throw new Error(`it came from ${String(rest.source)}`);
  const { savedAt, endpoints } = rest;
  if (typeof savedAt !== 'number' || !Number.isFinite(savedAt)) throw new Error('it does not say when it was written');
  if (!Array.isArray(endpoints)) throw new Error('it holds no endpoints');
  return { service, source, savedAt, endpoints: Object.freeze((endpoints as unknown[]).map(endpointOf)) };
}

function textOf(path: string): string | null {
  let file: number;
  try {
    // Without waiting: a pipe of that name would never open.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    inspect(fstatSync(file));
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** Whoever can write here says where requests go. @throws Error if that could be somebody else, or it is no such file */
function inspect(file: Stats): void {
  if (!file.isFile()) throw new Error('it is no file');
  if (file.size > maxFileBytes) throw new Error(`it is longer than ${maxFileBytes} bytes`);
  // Where there are no users of this kind (Windows), the mode says nothing either.
  const own = process.getuid?.();
  if (own === undefined) return;
  if (file.uid !== own && file.uid !== 0) throw new Error('it belongs to another user');
  if ((file.mode & 0o022) !== 0) throw new Error('other users may write to it');
}

/** @throws ConfigError, or Error, if `value` is no endpoint */
function endpointOf(value: unknown): Endpoint {
  const { id, origin, weight, zone, priority, attributes } = Object(value) as Partial<Endpoint>;
  const endpoint = createEndpoint(origin as string, { ...(value as Partial<Endpoint>) });
  const right =
    typeof id === 'string' &&
    id !== '' &&
    endpoint.origin === origin &&
    typeof weight === 'number' &&
    (zone === null || typeof zone === 'string') &&
    Number.isFinite(priority) &&
    Object(attributes) === attributes;
  if (!right) throw new Error(`there is something in it that is no endpoint: ${String(origin)}`);
  return endpoint;
}

/**
 * @internal Writes a file: first another one beside it that nobody else writes to, which then takes its name. Readers see
 * the old content or the new. Not forced onto the disk: what a power cut takes away was only remembered.
 *
 * Its folder is made if it is not there. Both are for this user alone: whoever writes here says where requests go.
 */
export async function writeRemembered(path: string, remembered: Remembered, clock: Clock): Promise<void> {
  const text = JSON.stringify({ format, ...remembered });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const bytes = new Uint8Array(8);
  clock.randomFill(bytes);
  const temporary = `${path}.${Buffer.from(bytes).toString('hex')}.tmp`;
  try {
    // Fails if there is one of that name, a link that somebody has laid there included.
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

/** @internal Forgets a file; harmless if there is none. */
export async function removeRemembered(path: string): Promise<void> {
  await rm(path, { force: true });
}
