/** @module A server behind `harden` and a guard. `/large` is more than any socket's buffers hold. It tells of itself when asked. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { guard, harden } from 'fairlead/node';

const large = Buffer.alloc(512 << 10, 'x');
const server = createServer(
  guard(
    (request, response) => {
      if (request.url === '/large') response.end(large);
      else if (request.method === 'POST') request.resume().on('end', () => response.end('read'));
      else response.end('hello');
    },
    { environment: false, drain: false },
  ),
);
harden(server, { headersTimeoutMs: 4_000, requestTimeoutMs: 6_000, stallTimeoutMs: 6_000 });
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('message', () => server.getConnections((_error, open) => process.send?.(open)));
process.on('disconnect', () => process.exit(0));
