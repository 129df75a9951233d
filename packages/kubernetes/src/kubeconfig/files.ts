/** @module The files of a kubeconfig, read and merged as kubectl does: whoever says something first is right. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { ConfigProblem } from '@fairlead/core';
import { type Fields, fieldsOf, Section } from './fields.js';

/** Where a kubeconfig is looked for. */
export interface KubeconfigFiles {
  /** Default `process.env`; `KUBECONFIG` is a list of files, like `PATH`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The folder with `.kube/config`, for where `KUBECONFIG` is not set. Default that of the user. */
  readonly home?: string;
}

/** Merged files, not looked into yet. */
export interface Merged {
  /** The files that were there, for messages. */
  readonly files: readonly string[];
  readonly currentContext: string | null;
  /** Sections by name: what stands in `context`, `cluster` and `user` of each entry. */
  readonly contexts: ReadonlyMap<string, Section>;
  readonly clusters: ReadonlyMap<string, Section>;
  readonly users: ReadonlyMap<string, Section>;
}

/** The files to look into, there or not. */
export function kubeconfigFiles({ env = process.env, home = homedir() }: KubeconfigFiles): readonly string[] {
  const listed = (env.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  return listed.length > 0 ? listed.map((file) => resolve(file)) : [join(home, '.kube', 'config')];
}

/** Reads and merges. A file that is not there is left out, as kubectl does; what is wrong goes into `problems`. */
export function mergeKubeconfig(files: readonly string[], problems: ConfigProblem[]): Merged {
  const found: string[] = [];
  const kinds = { contexts: new Map<string, Section>(), clusters: new Map(), users: new Map() };
  let currentContext: string | null = null;
  for (const file of files) {
    const fields = readFields(file, problems);
    if (fields === null) continue;
    found.push(file);
    const top = new Section(file, fields, dirname(file), problems);
    currentContext ??= top.text('current-context');
    addEntries(top, 'contexts', 'context', kinds.contexts);
    addEntries(top, 'clusters', 'cluster', kinds.clusters);
    addEntries(top, 'users', 'user', kinds.users);
  }
  return { files: found, currentContext, ...kinds };
}

function addEntries(top: Section, list: string, kind: string, to: Map<string, Section>): void {
  const entries = top.fields[list] ?? [];
  if (!Array.isArray(entries)) {
    top.wrong(list, 'a list');
    return;
  }
  for (const [i, entry] of entries.entries()) {
    const name = fieldsOf(entry)?.name;
    if (typeof name !== 'string' || name === '') {
      top.wrong(`${list}[${i}]`, 'an entry with a name');
      continue;
    }
    const fields = fieldsOf((entry as Fields)[kind]);
    const at = `${list}[${name}].${kind}`;
    if (fields === null) top.wrong(at, 'an object');
    else if (!to.has(name)) to.set(name, new Section(`${top.name}: ${at}`, fields, top.folder, top.problems));
  }
}

function readFields(file: string, problems: ConfigProblem[]): Fields | null {
  try {
    const fields = fieldsOf(parseYaml(readFileSync(file, 'utf8')));
    if (fields === null) problems.push({ name: file, expected: 'a kubeconfig' });
    return fields;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    // Only the first line: those of the YAML parser quote the file, and tokens are in there.
    const why = (message.split('\n')[0] as string).replace(/:$/, '');
    problems.push({ name: file, expected: `a kubeconfig, in YAML or JSON (${why})` });
    return null;
  }
}

/** Loaded here and not before, and synchronously: pods never need it, and whoever does wants to know at once. */
function parseYaml(text: string): unknown {
  const yaml = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  return yaml.parse(text, { logLevel: 'error' });
}
