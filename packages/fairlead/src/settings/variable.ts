/** @module One variable: which settings it stands for, and what its text says. */
import { type ConfigProblem, closest } from '@fairlead/core';
import { redact } from './redaction.js';
import type { Setting } from './setting.js';
import type { Target } from './tables.js';

/** The settings that a variable stands for. */
export interface Found {
  readonly targets: readonly Target[];
  /** Whether the variable names a file that holds the value. */
  readonly fromFile: boolean;
}

const fileSuffix = '_FILE';

/** The settings behind `variable` (without a prefix), which may name a file if they are secret. */
export function findVariable(variables: ReadonlyMap<string, readonly Target[]>, variable: string): Found | null {
  const targets = variables.get(variable);
  if (targets !== undefined) return { targets, fromFile: false };
  if (!variable.endsWith(fileSuffix)) return null;
  const secrets =
    variables.get(variable.slice(0, -fileSuffix.length))?.filter(({ setting }) => setting.secret === true) ?? [];
  return secrets.length === 0 ? null : { targets: secrets, fromFile: true };
}

/**
 * The value that `text` stands for, or what is wrong with it. A secret is not shown, wherever it came from.
 * @param name the whole name, for the problem
 * @param readFile reads a file as text, or throws
 */
export function readVariable(
  name: string,
  text: string,
  { targets, fromFile }: Found,
  readFile: (path: string) => string,
): { readonly value: unknown } | { readonly problem: ConfigProblem } {
  const { value: kind, secret = false } = (targets[0] as Target).setting as Setting<unknown>;
  let written = text;
  if (fromFile) {
    try {
      written = readFile(text).trim();
    } catch {
      return { problem: { name, value: redact(text, false), expected: 'the path of a file that can be read' } };
    }
  }
  const value = kind.parse(written);
  if (value !== undefined && kind.check.test(value)) return { value };
  const problem = { name, value: redact(written, secret), expected: kind.expected };
  return { problem: kind.words === undefined ? problem : { ...problem, didYouMean: closest(written, kind.words) } };
}
