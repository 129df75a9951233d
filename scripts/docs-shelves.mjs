// One stem, five shelves: whoever knows the name of a policy knows where its code, tests, page, example and benchmark
// are. Tests and a page are for every policy; the table says which have an example and a benchmark of their own.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** @type {Record<string, ('docs' | 'example' | 'benchmark')[]>} */
const policies = {
  timeout: ['docs', 'example'],
  deadline: ['docs', 'example'],
  retry: ['docs', 'example', 'benchmark'],
  // Arithmetic of retry: its page is the one on retry.
  backoff: [],
  'retry-budget': ['docs', 'benchmark'],
  hedge: ['docs', 'example', 'benchmark'],
  breaker: ['docs', 'example', 'benchmark'],
  'token-bucket': ['docs', 'example', 'benchmark'],
  concurrency: ['docs', 'example', 'benchmark'],
  pace: ['docs', 'example', 'benchmark'],
  replay: ['docs', 'example'],
  fallback: ['docs', 'example'],
};

/** @param {string} root @returns {string[]} problems */
export function checkShelves(root) {
  return Object.entries(policies).flatMap(([stem, shelves]) => {
    const paths = [`packages/policies/src/${stem}.ts`, `packages/policies/src/${stem}.test.ts`];
    if (shelves.includes('docs')) paths.push(`docs/policies/${stem}.md`);
    if (shelves.includes('example')) paths.push(`examples/${stem}.ts`);
    if (shelves.includes('benchmark')) paths.push(`benchmarks/${stem}.bench.ts`);
    return paths.filter((path) => !existsSync(join(root, path))).map((path) => `${stem}: the shelf ${path} is empty`);
  });
}
