// Policies around any WHATWG fetch: a framework's patched one, a mock, or, here, the built-in one.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { wrapFetch } from 'fairlead';

let requests = 0;
const server = createServer((_request, response) => {
  // Every second answer is a 503.
  response.statusCode = ++requests % 2 === 1 ? 503 : 200;
  response.end('hello');
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

// #region wrap
const resilient = wrapFetch(fetch, { services: { greeter: { from: [origin], attempts: 3 } } });

const reply = await resilient('http://greeter/'); // a service: the 503 is retried
const bare = await resilient(origin); // any other host: straight to the fetch that was given
// #endregion

if (reply.status !== 200 || (await reply.text()) !== 'hello') throw new Error(`expected 200, got ${reply.status}`);
if (bare.status !== 503) throw new Error(`expected the bare 503, got ${bare.status}`);
console.log(`a service: ${reply.status}, bare: ${bare.status}, requests seen by the server: ${requests}`);
await resilient.close();
server.closeAllConnections();
server.close();
