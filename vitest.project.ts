import { join } from 'node:path';
import { defineProject } from 'vitest/config';
import { packages } from './scripts/packages.mjs';

// Tests read siblings from their sources, so that no build stands between an edit and its test.
const alias = packages().flatMap((pack) =>
  pack.entries.map((entry) => ({
    find: new RegExp(`^${entry.specifier}$`),
    replacement: join(pack.dir, entry.source),
  })),
);

/** The vitest project of one package: the tests stand beside the sources. */
export function project(name: string) {
  return defineProject({
    resolve: { alias },
    test: { name, include: ['src/**/*.test.ts'], environment: 'node', restoreMocks: true },
  });
}
