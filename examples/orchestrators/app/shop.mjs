// The service that calls: `node shop.mjs`. Where payments is says FAIRLEAD_SERVICE_PAYMENTS, so that nothing in here knows
// which orchestrator it runs under.
import { createServer } from 'node:http';
import { createClient } from 'fairlead';
import { guard, harden } from 'fairlead/node';

const client = createClient();
const server = createServer(
  guard(
    async (_request, response) => {
      const reply = await client.fetch('http://payments/charges/42');
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ status: reply.status, charge: await reply.json() }));
    },
    { name: 'shop', health: true, drain: { cleanup: () => client.close() } },
  ),
);
harden(server);
server.listen(Number(process.env.PORT ?? 3_000), () => console.log('shop is there'));
