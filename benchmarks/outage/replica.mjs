// One replica of a service, as it would be deployed: guarded, so that on SIGTERM it drains and then ends.
// Forked; it tells its port. `node replica.mjs`
import { createServer } from 'node:http';
import { guard } from 'fairlead/node';

const drain = { delayMs: 1_000, timeoutMs: 10_000 };
const server = createServer(
  guard(
    (request, response) => {
      request.resume();
      setTimeout(() => response.end('ok'), 5);
    },
    { environment: false, drain },
  ),
);
server.listen(0, '127.0.0.1', () => process.send?.(server.address().port));
// Whoever started it is gone. It must not wait for that when it has drained.
process.once('disconnect', () => process.exit());
process.channel?.unref();
