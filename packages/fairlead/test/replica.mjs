/**
 * A replica in a process of its own, to be killed and frozen: answers every request with its pid after DELAY ms, and tells
 * its port and each request that arrives on stdout.
 */
import { createServer } from 'node:http';

const delay = Number(process.env.DELAY ?? 0);
const server = createServer((_request, response) => {
  process.stdout.write('request\n');
  setTimeout(() => response.end(String(process.pid)), delay);
});
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () =>
  process.stdout.write(`port ${server.address().port}\n`),
);
// Whoever started it is gone.
process.stdin.resume().on('end', () => process.exit());
