/** @module Reading the fields of a kubeconfig, and keeping account of everything that is wrong with them. */
import { readFileSync } from 'node:fs';
import type { ConfigProblem } from '@fairlead/core';

/** An object of a YAML document. */
export type Fields = Readonly<Record<string, unknown>>;

/** `value`, if it is an object with fields; null is one without. */
export function fieldsOf(value: unknown): Fields | null {
  if (value == null) return {};
  return typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : null;
}

/** What a PEM text holds. */
export type PemKind = 'CERTIFICATE' | 'PRIVATE KEY';

function readPem(data: string | null, file: string | null, kind: PemKind): string {
  const text = data === null ? readFileSync(file as string, 'utf8') : Buffer.from(data, 'base64').toString('utf8');
  if (!new RegExp(`-----BEGIN [A-Z ]*${kind}-----`).test(text)) throw new Error('there is none');
  return text;
}

/** Part of a kubeconfig: its name for messages, and the folder of the file it stands in. */
export class Section {
  constructor(
    readonly name: string,
    readonly fields: Fields,
    /** Relative paths in it are relative to this. */
    readonly folder: string,
    /** Where what is wrong is written down. */
    readonly problems: ConfigProblem[],
  ) {}

  /** Notes that `field` is wrong. Give the value only if it is no secret. */
  wrong(field: string, expected: string, value?: unknown): void {
    this.problems.push({ name: field === '' ? this.name : `${this.name}.${field}`, value, expected });
  }

  /** The text of `field`; null if it is absent, empty or wrong. */
  text(field: string): string | null {
    const value = this.fields[field];
    if (value == null || value === '') return null;
    if (typeof value === 'string') return value;
    this.wrong(field, 'a text');
    return null;
  }

  flag(field: string): boolean {
    const value = this.fields[field];
    if (value != null && typeof value !== 'boolean') this.wrong(field, 'true or false', value);
    return value === true;
  }

  /** A list of texts; empty if it is absent or wrong. */
  texts(field: string): readonly string[] {
    const value = this.fields[field] ?? [];
    if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
    this.wrong(field, 'a list of texts');
    return [];
  }

  /** The section that `field` holds; null if it is absent or wrong. */
  section(field: string): Section | null {
    const value = this.fields[field];
    if (value == null) return null;
    const fields = fieldsOf(value);
    if (fields === null) this.wrong(field, 'an object');
    return fields === null ? null : new Section(`${this.name}.${field}`, fields, this.folder, this.problems);
  }

  /** PEM text in `field-data` (base64) or in the file that `field` names; null if neither is there, or it is wrong. */
  pem(field: string, file: string | null, kind: PemKind): string | null {
    const data = this.text(`${field}-data`);
    if (data === null && file === null) return null;
    try {
      return readPem(data, file, kind);
    } catch (error) {
      const from = data === null ? 'in a file' : 'in base64';
      const expected = `a PEM ${kind.toLowerCase()} ${from} (${(error as Error).message})`;
      this.wrong(data === null ? field : `${field}-data`, expected);
      return null;
    }
  }

  /** The same once more, without a word about what is wrong: it was right before, and is being replaced. */
  reread(field: string, file: string | null, kind: PemKind): string | null {
    const data = this.text(`${field}-data`);
    try {
      return data === null && file === null ? null : readPem(data, file, kind);
    } catch {
      return null;
    }
  }
}
