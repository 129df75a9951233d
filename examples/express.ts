// Inbound: a limit per caller, deadlines and traces handed on to outbound calls, a drain on SIGTERM.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createClient } from 'fairlead';
import { guard } from 'fairlead/express';

// A backend that tells which headers it got.
const backend = express().get('/echo', (request, response) => void response.json(request.headers));
const backendServer = backend.listen(0, '127.0.0.1');
await once(backendServer, 'listening');
const backendOrigin = `http://127.0.0.1:${(backendServer.address() as AddressInfo).port}`;

// #region guard
const client = createClient({ services: { backend: [backendOrigin] } });
const app = express();
app.use(guard({ limit: { perSecond: 5, burst: 10 } }));
app.get('/', async (_request, response) => {
  // Inherits what is left of the caller's deadline, and its trace.
  const reply = await client.fetch('http://backend/echo');
  response.json(await reply.json());
});
// #endregion

const server = app.listen(0, '127.0.0.1');
await once(server, 'listening');
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const first = await fetch(origin, { headers: { traceparent, 'x-request-timeout-ms': '500' } });
const seen = (await first.json()) as Record<string, string>;
if (!seen.traceparent?.startsWith('00-0af7651916cd43dd8448eb211c80319c-')) throw new Error('the trace was lost');
if (!(Number(seen['x-request-timeout-ms']) <= 500)) throw new Error('the deadline was lost');

const statuses: number[] = [];
for (let i = 0; i < 15; i++) {
  const reply = await fetch(origin);
  await reply.arrayBuffer();
  statuses.push(reply.status);
  if (reply.status === 429)
    console.log(reply.headers.get('ratelimit'), '| retry after', reply.headers.get('retry-after'));
}
if (!statuses.includes(429)) throw new Error('nothing was refused');
console.log(statuses.join(' '));

await client.close();
for (const each of [server, backendServer]) {
  each.closeAllConnections();
  each.close();
}
