// A time limit for the whole call, with all of its attempts.
import { createServer } from 'node:http';
import { createCall, type Handler, systemClock } from 'fairlead';

const server = createServer(() => {}).listen(0, '127.0.0.1'); // never answers
await new Promise((listening) => server.once('listening', listening));
const origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
const started = performance.now();

// #region client
import { createClient, TimeoutError } from 'fairlead';

const client = createClient({ services: { payments: { from: [origin], timeoutMs: 200 } } });
const { cause } = await client.fetch('http://payments/charges/42').catch((error) => error);
if (cause instanceof TimeoutError) console.log(cause.message); // payments: the call did not finish within 200 ms
// #endregion

if (!(cause instanceof TimeoutError) || cause.of !== 'call') throw new Error(`expected a timeout: ${cause}`);
if (performance.now() - started < 199) throw new Error('expected the call to have its 200 ms');
await client.close();
server.closeAllConnections();
server.close();

// Stands for what sends: it never answers either, and hears when nobody waits any longer.
let sent = 0;
const transport: Handler = ({ scope }) => {
  sent++;
  return new Promise((_, reject) => scope.watch({ onCancel: reject }));
};

// #region stack
import { attemptTimeout, compose, deadline, retry } from 'fairlead';

const handler = compose([deadline({ ms: 400 }), retry({ attempts: 10 }), attemptTimeout({ ms: 100 })], transport);
// #endregion

const call = createCall({ service: 'payments', runtime: { clock: systemClock } });
const error = await handler(call).catch((reason) => reason);
// Of the call if it ran out, of the last attempt if there was not enough left for the wait before another one.
if (!(error instanceof TimeoutError)) throw new Error(`expected a timeout: ${error}`);
if (sent > 4) throw new Error(`expected no time for more than four attempts of 100 ms: ${sent}`);
console.log(`${error.message}, ${sent} attempts`);
