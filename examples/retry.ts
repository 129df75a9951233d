// What fails is tried again: by a client, by a stack of your own, and never more often than a budget allows.
import { createServer } from 'node:http';
import { createCall, createReply, type Handler, systemClock } from 'fairlead';

let requests = 0;
const server = createServer((_request, response) => {
  response.statusCode = ++requests % 2 === 1 ? 503 : 200; // every second answer is good
  response.end();
}).listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));
const origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;

// #region client
import { createClient } from 'fairlead';

const client = createClient({
  services: { payments: { from: [origin], attempts: 3, retry: { baseMs: 10 }, budget: { ratio: 0.1 } } },
});
const read = await client.fetch('http://payments/charges/42'); // a 503 first, then a 200
const write = await client.fetch('http://payments/charges', { method: 'POST' }); // its 503 is not repeated
// #endregion

if (read.status !== 200 || write.status !== 503)
  throw new Error(`expected 200 and 503: ${read.status}, ${write.status}`);
if (requests !== 3) throw new Error(`expected 3 requests: ${requests}`);
await client.close();
server.close();

// Stands for what sends.
let sent = 0;
const transport: Handler = async () => createReply({ status: ++sent === 2 ? 200 : 502 });

// #region stack
import { attemptTimeout, compose, retry } from 'fairlead';

const handler = compose([retry({ attempts: 3, baseMs: 10 }), attemptTimeout({ ms: 500 })], transport);
// #endregion

const newCall = () => createCall({ service: 'payments', runtime: { clock: systemClock } });
const { status } = await handler(newCall());
if (status !== 200 || sent !== 2) throw new Error(`expected 200 from the second attempt: ${status}, ${sent}`);

// #region budget
import { retryBudget } from 'fairlead';

const budget = retryBudget({ ratio: 0.1, minPerSecond: 2 });
const reads = compose([retry({ budget })], transport);
const writes = compose([retry({ budget, attempts: 2 })], transport);
// #endregion

sent = 2; // from now on everything fails
await Promise.all(Array.from({ length: 100 }, (_, i) => (i < 50 ? reads(newCall()) : writes(newCall()))));
// A tenth of 100 calls, or 2 per second for ten seconds: the larger of the two.
if (sent - 2 !== 100 + 20) throw new Error(`expected 20 retries: ${sent - 102}`);
console.log('a 503 repeated, a POST not; of 100 calls that failed, 20 repeated');
