// A time limit for each attempt: what hangs is tried again elsewhere, or once more.
import { createServer } from 'node:http';
import { createCall, createReply, type Handler, systemClock } from 'fairlead';

let requests = 0;
const server = createServer((_request, response) => {
  if (++requests > 1) response.end('late, but there'); // the first request gets no answer
}).listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));
const origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;

// #region client
import { createClient } from 'fairlead';

const client = createClient({ services: { payments: { from: [origin], attempts: 3, attemptTimeoutMs: 300 } } });
const reply = await client.fetch('http://payments/charges/42'); // the first attempt hangs, the second is answered
// #endregion

const text = await reply.text();
if (reply.status !== 200 || text !== 'late, but there') throw new Error(`expected 200: ${reply.status}, ${text}`);
if (requests < 2) throw new Error(`expected a second attempt: ${requests}`);
await client.close();
server.closeAllConnections();
server.close();

// Stands for what sends: the first attempt is not answered, and hears when nobody waits for it any longer.
let sent = 0;
const transport: Handler = ({ scope }) =>
  ++sent > 1 ? Promise.resolve(createReply()) : new Promise((_, reject) => scope.watch({ onCancel: reject }));

// #region stack
import { attemptTimeout, compose, retry } from 'fairlead';

const handler = compose([retry(), attemptTimeout({ ms: 100 })], transport);
// #endregion

const { status } = await handler(createCall({ service: 'payments', runtime: { clock: systemClock } }));
if (status !== 200 || sent !== 2) throw new Error(`expected 200 from the second attempt: ${status}, ${sent}`);
console.log('two attempts that hung, two that were answered');
