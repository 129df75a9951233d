// Catches: a file resolver that breaks the contract which a user's is checked against.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Resolver } from '@fairlead/core';
import { type ResolverSource, resolverConformance } from '@fairlead/testing';
import { describe, it } from 'vitest';
import { file } from './file.js';

class Folder implements ResolverSource {
  readonly #folder = mkdtempSync(join(tmpdir(), 'fairlead-conformance-'));
  readonly #path = join(this.#folder, 'a.json');
  readonly resolver: Resolver = file({ path: this.#path });

  show(origins: readonly string[]): void {
    this.#write(JSON.stringify({ endpoints: origins }));
  }
  fail(): void {
    rmSync(this.#path, { force: true });
  }
  garble(): void {
    this.#write('{ "endpoints": [');
  }
  close(): void {
    rmSync(this.#folder, { recursive: true });
  }
  #write(content: string): void {
    writeFileSync(`${this.#path}.new`, content);
    renameSync(`${this.#path}.new`, this.#path);
  }
}

describe('file', () => {
  const source = () => new Folder();
  for (const { name, run } of resolverConformance({ source, cannot: ['hang'], outsideMs: 2_000 })) it(name, run);
});
