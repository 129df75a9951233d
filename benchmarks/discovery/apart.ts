/** @module Runs `watching.mjs` in fresh processes against one server, and makes rows of what they tell. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median, type Row, round } from '../measure.ts';

const script = fileURLToPath(new URL('watching.mjs', import.meta.url));

/** What a process told. */
export type Told = Readonly<Record<'total' | 'afterLastByte' | 'endpoints' | 'peak' | 'kept' | 'core', number>>;

/** What `server.ts` says when it is ready. */
export interface Server {
  readonly origin: string;
  readonly ca: string;
}

/** @throws Error if it fails */
export function watching({ origin, ca }: Server, services: number, seconds: number): Told {
  const args = ['--expose-gc', script, origin, ca, `${services}`, `${seconds}`];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Told;
}

/** Median, least and most of `values`. */
export function rowOf(name: string, metric: string, unit: string, values: readonly number[]): Row {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return { case: name, metric, unit, median: round(median(values)), min: round(least), max: round(most), ratioTo: {} };
}
