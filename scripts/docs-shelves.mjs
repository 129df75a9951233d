// One stem, five shelves: whoever knows the name of a policy knows where its code, tests, page, example and benchmark
// are. The code, its tests and the page are for every policy; the table says what example shows it, and by which name it
// is measured in benchmarks/layers.bench.ts.
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const folder = 'packages/policies/src';
const benchmark = 'benchmarks/layers.bench.ts';

/** @typedef {{ docs?: false, example?: string, benchmark?: string }} Shelves */
/** What the package hands out that is no policy: what an option of several of them may be. */
const shared = ['policy-mode'];

/** By room and stem. @type {Record<string, Shelves>} */
const policies = {
  'time/timeout': { example: 'timeout', benchmark: 'attemptTimeout' },
  'time/deadline': { example: 'deadline', benchmark: 'deadline' },
  'retry/retry': { example: 'retry', benchmark: 'retry' },
  // Arithmetic of retry: its page is the one on retry.
  'retry/backoff': { docs: false },
  'retry/retry-budget': { example: 'retry', benchmark: 'retryBudget' },
  'breaker/breaker': { example: 'breaker', benchmark: 'breaker' },
  'limits/token-bucket': { example: 'token-bucket', benchmark: 'tokenBucket' },
  'limits/keyed-buckets': { example: 'token-bucket', benchmark: 'keyedBuckets' },
  'fallback/fallback': { example: 'fallback', benchmark: 'fallback' },
  'hedge/hedge': { example: 'hedge', benchmark: 'hedge' },
  'pace/pace': { example: 'pace', benchmark: 'pace' },
  'limits/throttle': { example: 'throttle', benchmark: 'throttle' },
  'trials/mirror': { example: 'mirror', benchmark: 'mirror' },
  'trials/inject-fault': { example: 'inject-fault', benchmark: 'injectFault' },
  // For layers of one's own; it has no place in the standard stack.
  'hedge/race': { benchmark: 'race' },
};

/** @param {string} root @returns {string[]} problems */
export function checkShelves(root) {
  const measured = textOf(join(root, benchmark));
  const problems = Object.entries(policies).flatMap(([path, shelves]) => {
    const stem = basename(path);
    const paths = [`${folder}/${path}.ts`, `${folder}/${path}.test.ts`];
    if (shelves.docs !== false) paths.push(`docs/policies/${stem}.md`);
    if (shelves.example) paths.push(`examples/${shelves.example}.ts`);
    const empty = paths.filter((path) => !existsSync(join(root, path))).map((path) => `the shelf ${path} is empty`);
    // A case is called by the layer, and by what is measured of it: 'retry: a good reply'.
    if (shelves.benchmark && !measured.includes(`'${shelves.benchmark}: `)) {
      empty.push(`the shelf ${benchmark} has no case of the name '${shelves.benchmark}: …'`);
    }
    return empty.map((problem) => `${stem}: ${problem}`);
  });
  // What the package hands out must be in the table: a policy that nobody put there would have no shelves at all.
  for (const [, path = ''] of textOf(join(root, folder, 'index.ts')).matchAll(/from '\.\/([\w/-]+)\.js'/g)) {
    if (!Object.hasOwn(policies, path) && !shared.includes(path))
      problems.push(`${path}: no shelf is known for it; add it to docs-shelves.mjs`);
  }
  return problems;
}

/** @param {string} path */
function textOf(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
