// No code at all: an application that knows only fetch, and a service configured by environment variables alone.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';

const server = createServer((request, response) => response.end(`charged ${request.url}`)).listen(0, '127.0.0.1');
await once(server, 'listening');

// #region app
const app = `
  const reply = await fetch('http://payments/charges/42');
  console.log(reply.status, await reply.text());
`;
// #endregion
const child = spawn(process.execPath, ['--input-type=module', '--import', 'fairlead/register', '--eval', app], {
  // #region environment
  env: {
    ...process.env,
    // The first of the two endpoints refuses connections; the call does not notice.
    FAIRLEAD_SERVICE_PAYMENTS: `http://127.0.0.1:1,http://127.0.0.1:${server.address().port}`,
    FAIRLEAD_SERVICE_PAYMENTS_ATTEMPTS: '3',
    FAIRLEAD_TIMEOUT: '2s',
  },
  // #endregion
  stdio: ['ignore', 'pipe', 'inherit'],
});
let output = '';
child.stdout.on('data', (chunk) => (output += chunk));
const [code] = await once(child, 'close');
server.close();
console.log(output.trim());
if (code !== 0 || output.trim() !== '200 charged /charges/42') throw new Error(`the application ended with ${code}`);
