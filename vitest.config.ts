import { defineConfig } from 'vitest/config';
import { assertProjectNode } from './scripts/project-node.mjs';

assertProjectNode();

export default defineConfig({
  test: { projects: ['packages/*', 'scripts'], reporters: ['default'] },
});
