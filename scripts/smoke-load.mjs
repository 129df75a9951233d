// Runs in a user's project, on each Node: loads one import, first by import or first by require, and looks at what
// that did. Arguments: the specifier, "import" or "require", and "exports" if it must export something.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [specifier, first, wantsExports] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${process.cwd()}/user.cjs`));

/** What the built-in fetch of this Node sends through. */
function world() {
  // Until something touches the built-in classes, Node has not set up its dispatcher at all.
  void globalThis.Headers;
  const dispatchers = [1, 2].map((n) => globalThis[Symbol.for(`undici.globalDispatcher.${n}`)]);
  return { fetch: globalThis.fetch, dispatchers };
}

/** @param {unknown} condition @param {string} message */
function assert(condition, message) {
  if (condition) return;
  console.error(`${specifier} by ${first} first: ${message}`);
  process.exitCode = 1;
}

const before = world();
const load = { import: () => import(specifier), require: async () => require(specifier) };
const one = await load[first]();
const other = await load[first === 'import' ? 'require' : 'import']();
const after = world();

// Node says by the first mark that what was required is a module with a default export, and by the second what require gives.
const names = Object.keys(one).filter((name) => name !== '__esModule' && name !== 'module.exports');
/** What stands in for another library is imported as that one is. */
const standsIn = /\/(express|fastify)-rate-limit$/.test(specifier);
assert(!wantsExports || names.length > 0, 'exports nothing');
assert(
  standsIn || !names.includes('default'),
  'has a default export, which reads differently by import and by require',
);
assert(
  names.every((name) => one[name] === other[name]),
  'import and require gave two copies, with two states',
);
if (!specifier.endsWith('/register')) {
  assert(before.fetch === after.fetch, 'loading it replaced globalThis.fetch');
  // A second symbol that was not there before is undici's own, and this Node does not read it.
  assert(
    before.dispatchers.every((dispatcher, i) => dispatcher === after.dispatchers[i] || (i === 1 && !dispatcher)),
    'loading it changed the dispatcher that the built-in fetch uses',
  );
}
