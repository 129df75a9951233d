import { defineProject } from 'vitest/config';

// Tests of the repository's own checks.
export default defineProject({ test: { name: 'scripts', include: ['**/*.test.mjs'], testTimeout: 60_000 } });
