// A stand-in for an answer that did not come.
import { createServer } from 'node:http';
import { createCall, type Handler, systemClock, TransportError } from 'fairlead';

const server = createServer((_request, response) => {
  response.statusCode = 500;
  response.end();
}).listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));
const failing = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
const nobody = 'http://127.0.0.1:1';
const cache = new Map([['/42', '{"price":3}']]);

// #region client
import { createClient, createReply } from 'fairlead';

const client = createClient({
  services: {
    // Always the same.
    related: {
      from: [nobody],
      fallback: { to: { headers: { 'content-type': 'application/json' }, body: '[]' } },
    },
    // Made for each call, also in the place of an answer that says 500 or above.
    prices: {
      from: [failing],
      fallback: {
        to: (call) => createReply({ body: cache.get(call.path) ?? null, headers: { 'x-stale': '1' } }),
        fromStatus: 500,
      },
    },
  },
});
// #endregion

const related = await client.fetch('http://related/42');
if (related.status !== 200 || (await related.text()) !== '[]') throw new Error(`expected []: ${related.status}`);
const price = await client.fetch('http://prices/42');
if (price.headers.get('x-stale') !== '1') throw new Error(`expected the cached price: ${price.status}`);
if ((await price.text()) !== '{"price":3}') throw new Error('expected the price');
await client.close();
server.close();

// Stands for what sends.
const transport: Handler = async ({ service }) => {
  throw new TransportError({ phase: 'connect', sent: 'no', service });
};

// #region stack
import { compose, fallback, retry } from 'fairlead';

const handler = compose([fallback({ to: { status: 204 } }), retry()], transport);
// #endregion

const { status } = await handler(createCall({ service: 'related', runtime: { clock: systemClock } }));
if (status !== 204) throw new Error(`expected 204: ${status}`);
console.log('three stand-ins');
