// A service that fails is left alone for a while, and tried again with a single call.
import { createServer } from 'node:http';
import { createCall, createReply, type Handler, sleep, systemClock } from 'fairlead';

let requests = 0;
let broken = true;
const server = createServer((_request, response) => {
  requests++;
  response.statusCode = broken ? 500 : 200;
  response.end();
}).listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));
const origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;

// #region client
import { createClient } from 'fairlead';

const client = createClient({
  services: { payments: { from: [origin], breaker: { minCalls: 10, errorRatio: 0.5, openMs: 1_000 } } },
  on: (event) => {
    if (event.type.startsWith('breaker.')) console.log(`${event.service}: ${event.type}`);
  },
});
// #endregion

const get = () => client.fetch('http://payments/');
for (let i = 0; i < 10; i++) {
  const { status } = await get();
  if (status !== 500) throw new Error(`expected 500: ${status}`);
}

// #region refused
import { RejectedError } from 'fairlead';

const { cause } = await client.fetch('http://payments/').catch((error) => error);
if (cause instanceof RejectedError)
  console.log(`${cause.message}; come back in ${Math.ceil(cause.retryAfterMs ?? 0)} ms`);
// #endregion

if (cause?.by !== 'breaker' || requests !== 10) throw new Error(`expected a refusal: ${cause}, ${requests} requests`);
broken = false;
await sleep(systemClock, cause.retryAfterMs);
for (let i = 0; i < 3; i++) {
  const { status } = await get();
  if (status !== 200) throw new Error(`expected 200: ${status}`);
}

// #region by-hand
const breakerOfPayments = client.breaker('payments'); // null where it is switched off
breakerOfPayments?.forceOpen(); // or disable(); reset() ends both
const saved = breakerOfPayments?.snapshot(); // plain data
breakerOfPayments?.reset();
if (saved) client.breaker('payments')?.restore(saved);
// #endregion

const refused = await get().catch(({ cause }) => cause);
if (refused?.by !== 'breaker') throw new Error(`expected a refusal of what is forced open: ${refused}`);
await client.close();
server.close();

// Stands for what sends.
const transport: Handler = async () => createReply({ status: 500 });

// #region stack
import { breaker, compose, gate, retry } from 'fairlead';

const payments = breaker({ errorRatio: 0.3, openMs: 2_000 });
const handler = compose([gate(payments), retry()], transport);

console.log(payments.state); // closed, open or halfOpen
console.log(payments.snapshot()); // { state, calls, failures, slow, probeAt, probeInMs, reopenings }
// #endregion

const newCall = () => createCall({ service: 'payments', runtime: { clock: systemClock } });
for (let i = 0; i < 20; i++) await handler(newCall());
if (payments.state !== 'open') throw new Error(`expected an open breaker: ${payments.state}`);
