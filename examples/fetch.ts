// One service, two endpoints, one of which does not exist: no call fails.
// #region server

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ path: request.url, currency: 'EUR' }));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const alive = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

// #endregion

// #region client
import { createClient } from 'fairlead';

const client = createClient({
  services: {
    payments: { from: [alive, 'http://127.0.0.1:1'], attempts: 3, timeoutMs: 2_000 },
  },
});

for (let id = 1; id <= 20; id++) {
  const reply = await client.fetch(`http://payments/charges/${id}`);
  const charge = (await reply.json()) as { path: string };
  if (reply.status !== 200 || charge.path !== `/charges/${id}`) throw new Error(`charge ${id}: ${reply.status}`);
}
// #endregion

console.log(JSON.stringify(client.describe(), null, 2));
await client.close();
server.close();
