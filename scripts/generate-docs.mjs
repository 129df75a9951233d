// Makes docs/configuration.md from the tables of settings, which are read from their sources: no build is needed.
// `--check` (what docs-check runs) only says whether the page is what it should be; otherwise it is written.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { packages, root } from './packages.mjs';

const page = join(root, 'docs/configuration.md');
const { settingsTables, variablePrefix, variableIn } = await loadTables();
const text = configurationPage();

if (!process.argv.includes('--check')) {
  writeFileSync(page, text);
} else if (readOrEmpty(page) !== text) {
  console.error('docs/configuration.md is not what the settings say; run: npm run docs-check -- --write');
  process.exitCode = 1;
}

/** Bundles the tables with the parts they take their defaults from; third-party packages stay where they are. */
async function loadTables() {
  // Below node_modules, so that those packages are found from there.
  const folder = join(root, 'node_modules/.cache/fairlead');
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `settings-${process.pid}.mjs`);
  const alias = Object.fromEntries(
    packages().flatMap((pack) => pack.entries.map((entry) => [entry.specifier, join(pack.dir, entry.source)])),
  );
  const bundle = await build({
    entryPoints: [join(root, 'packages/fairlead/src/settings/tables.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    // Functions are shown by their names.
    keepNames: true,
    plugins: [
      {
        name: 'siblings-from-sources',
        setup: ({ onResolve }) => {
          onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
            if (kind === 'entry-point') return undefined;
            return Object.hasOwn(alias, path) ? { path: alias[path], sideEffects: false } : { path, external: true };
          });
        },
      },
    ],
  });
  writeFileSync(outfile, bundle.outputFiles[0].text);
  try {
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(outfile);
  }
}

function configurationPage() {
  return `<!-- Made by scripts/generate-docs.mjs from packages/fairlead/src/settings; npm run docs-check -- --write makes it anew. -->

# Configuration

Every setting can be given in code; nearly every one can be given by an environment variable as well.

\`\`\`ts
const client = createClient({
  defaults: { timeoutMs: 5_000 },
  services: { payments: { from: 'dns://payments.prod.svc.cluster.local:8080', attempts: 2, retry: { baseMs: 50 } } },
});
\`\`\`

\`\`\`sh
FAIRLEAD_TIMEOUT=5s
FAIRLEAD_SERVICE_PAYMENTS=dns://payments.prod.svc.cluster.local:8080
FAIRLEAD_SERVICE_PAYMENTS_ATTEMPTS=2
FAIRLEAD_SERVICE_PAYMENTS_RETRY_BASE=50ms
\`\`\`

## What wins

1. what code says of the service
2. what code says of all services: \`defaults\`
3. \`FAIRLEAD_SERVICE_<NAME>_<OPTION>\`
4. \`FAIRLEAD_<OPTION>\`
5. the default

\`client.describe()\` tells for each setting of each service which of these it was. A group of options that can be switched
off (\`breaker: false\`, \`FAIRLEAD_BREAKER=off\`) is also \`true\` or \`false\` in code; one that is off by default is on as soon as
one of its options is given. Options alone do not bring a group back that a variable switches off; \`true\` in code does.
A policy whose \`mode\` is \`off\` is off as well.

## What is wrong

Everything that is wrong is told at once, in one \`ConfigError\`, and nothing has been started then: unknown options and
variables with the one that was probably meant, values that cannot be, services without endpoints. Values of secrets, and
credentials in URLs, are not shown. An unknown variable that begins with \`FAIRLEAD_\` is wrong, too, because somebody has
set it for nothing; those that Kubernetes makes for a Service whose name begins with \`fairlead\` are not.

## The names of services

A service is called by the host of its URL: \`http://payments/charges\`. In variables its name is in capitals, with \`_\` in
the place of everything but letters and digits: \`order-history\` is \`FAIRLEAD_SERVICE_ORDER_HISTORY\`. A service that only a
variable declares has a name in small letters with \`-\`. Where a name fits two services (\`a-b\` and \`a.b\`), or is one option
of one service and another option of another, the variable is refused, and code has to say what it was to say.

## How values are written

An empty variable counts as not set.

| kind | in a variable | in code |
|---|---|---|
| duration | \`500ms\`, \`2s\`, \`1m30s\` ([GEP-2257](https://gateway-api.sigs.k8s.io/geps/gep-2257/)), or bare milliseconds | a number of milliseconds |
| boolean | \`true\`, \`yes\`, \`on\`, \`1\`, \`false\`, \`no\`, \`off\`, \`0\` | \`true\`, \`false\` |
| share | \`0.2\` or \`20%\` | a number from 0 to 1 |
| rate | \`100/s\`, \`6000/m\`, \`100/s;burst=200\`; the burst is one second's worth by default | \`{ perSecond: 100, burst: 200 }\` |
| status and body | \`503\`, \`200 {"items":[]}\` | \`{ status: 200, headers: {}, body: '{"items":[]}' }\` |
| list | \`a,b,c\` | an array |
| source | \`http://10.0.0.5:8080\`, several of them with commas, or \`dns://payments:8080\` | the same, an array, or a resolver |
| off | \`off\` | \`false\`, or \`null\` where that is the default |

## A client

Given to \`createClient\` and \`wrapFetch\`, beside \`services\` and \`defaults\`.

${tableOf('client')}

Two more are not of the settings, and only in code:

| option | value | default | what it does |
|---|---|---|---|
| \`otherHosts\` | a fetch, or null | \`null\` | Gets calls whose host is no service, redirects out of the mesh among them, as they are: \`otherHosts: fetch\`. With null they are refused with a \`TypeError\`. \`wrapFetch\` and \`fairlead/register\` see to it themselves. |
| \`environment\` | an object, or false | \`process.env\` | Where variables are read from; \`false\` for nowhere, as in tests. |

## A service

Given under \`services\`, and but for \`from\` under \`defaults\`. In the variables, put \`SERVICE_<NAME>_\` after \`FAIRLEAD_\` to set
an option for one service only: \`FAIRLEAD_TIMEOUT\` is for all, \`FAIRLEAD_SERVICE_PAYMENTS_TIMEOUT\` for \`payments\`.
In code the options of \`breaker\` may go by [the names of opossum](policies/breaker.md#defaults).

${tableOf('service')}

## A guard

Given to \`guard()\`, beside \`environment\`, which is as above.

${tableOf('inbound')}
`;
}

/** @param {'client' | 'service' | 'inbound'} scope */
function tableOf(scope) {
  const rows = Object.entries(settingsTables[scope]).map(([path, setting]) =>
    cells(`\`${path}\``, variableOf(scope, path, setting), setting.value.kind, defaultOf(setting), setting.doc),
  );
  return [cells('option', 'variable', 'value', 'default', 'what it does'), '|---|---|---|---|---|', ...rows].join('\n');
}

/** @param {...string} texts */
function cells(...texts) {
  return `| ${texts.map((each) => each.replaceAll('|', '\\|')).join(' | ')} |`;
}

function variableOf(scope, path, setting) {
  if (scope === 'service' && path === 'from') return `\`${variablePrefix}SERVICE_<NAME>\``;
  const variable = variableIn(scope, path, setting);
  return variable === null ? 'only in code' : `\`${variablePrefix}${variable}\``;
}

function defaultOf({ value, default: byDefault }) {
  if (byDefault === undefined) return 'none';
  if (typeof byDefault === 'function') return byDefault.name === '' ? 'none' : `\`${byDefault.name}\``;
  const written = value.format(byDefault);
  return written === '' ? 'none' : `\`${written}\``;
}

function readOrEmpty(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
