// The service that is called: `node payments.mjs`. On SIGTERM it finishes what it has begun, tells connections to close, ends.
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { guard, harden } from 'fairlead/node';

const port = Number(process.env.PORT ?? 8_080);
const server = createServer(
  guard(
    (_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ amount: 4200, replica: `${hostname()}:${port}` }));
    },
    { name: 'payments', health: true },
  ),
);
harden(server);
server.listen(port, () => console.log(`payments at ${port}`));
