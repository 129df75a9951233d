// The first example of the README as programs that run: with addresses of a server that is there, once as a module and
// once as CommonJS. What a reader copies has to work, on every supported Node.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './packages.mjs';

const addresses = /'http:\/\/10\.0\.0\.\d+:\d+'/g;
const imports = /^import (\{[^}]+\}) from ('[^']+');$/gm;

/** @returns {Record<string, string>} programs by the name of their file */
export function readmePrograms() {
  const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1];
  if (code === undefined) throw new Error('README.md has no example');
  if (!addresses.test(code)) throw new Error('the first example of the README names no address to replace');
  const modules = code.match(imports)?.join('\n') ?? '';
  const body = `${code.replace(imports, '').replace(addresses, 'origin')}
if (reply.status !== 200) throw new Error('status ' + reply.status);
await client.close();
server.closeAllConnections();
server.close();
`;
  const start = `
const server = createServer((request, response) => response.end(JSON.stringify({ path: request.url })));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = 'http://127.0.0.1:' + server.address().port;
`;
  const required = modules.replace(imports, 'const $1 = require($2);');
  return {
    'readme.mjs': `import { createServer } from 'node:http';\n${modules}\n${start}${body}`,
    'readme.cjs': `const { createServer } = require('node:http');\n${required}\n(async () => {${start}${body}})();\n`,
  };
}
