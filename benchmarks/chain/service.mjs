// One service of a chain: asks the next one, and answers what it was answered; the last one fails as told. `node service.mjs
// fairlead|loop NEXT|- FAULT SHARE`, settings of the client in CHAIN_CLIENT; asked with anything it tells how many requests
// it has got
import { createServer } from 'node:http';
import { createClient } from 'fairlead';
import { guard } from 'fairlead/node';
import { plainLoop } from './plain-loop.mjs';

const [, , kind = '', next = '-', fault = '503', share = '1'] = process.argv;
let requests = 0;
let failed = 0;

/** What the last one does with a request that it fails. @type {Record<string, (request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => void>} */
const faults = {
  503: (_request, response) => void response.writeHead(503).end('no'),
  reset: (request) => request.socket.resetAndDestroy(),
  hang: () => {},
};

/** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
function last(request, response) {
  requests++;
  // Evenly: chance would be one more reason for figures to differ from run to run.
  if (Math.floor(requests * Number(share)) === failed) return void response.end('ok');
  failed++;
  /** @type {(typeof faults)[string]} */ (faults[fault])(request, response);
}

const client =
  kind === 'fairlead' && next !== '-'
    ? createClient({
        environment: false,
        services: { next: { from: [next], ...JSON.parse(process.env.CHAIN_CLIENT ?? '{}') } },
      })
    : null;
const ask = client === null ? plainLoop(next) : () => client.fetch('http://next/');

/** @param {import('node:http').IncomingMessage} _request @param {import('node:http').ServerResponse} response */
async function hop(_request, response) {
  requests++;
  try {
    const reply = await ask();
    const text = await reply.text();
    response.writeHead(reply.status).end(text);
  } catch {
    response.writeHead(502).end('the next one failed');
  }
}

const handler = next === '-' ? last : hop;
const server = createServer(
  { keepAliveTimeout: 60_000 },
  kind === 'fairlead' ? guard(handler, { environment: false, health: false, drain: false, shed: false }) : handler,
);
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.send?.(`http://127.0.0.1:${port}`);
});
process.on('message', () => process.send?.(requests));
process.on('disconnect', () => process.exit(0));
