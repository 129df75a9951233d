/** @module A replica. Arguments: its port, and how it stops: `guard`, `close` (as most do), or `exit` (as Node does by itself). */
import { createServer, type RequestListener } from 'node:http';
import { guard } from 'fairlead/node';
import { DELAY_MS } from './timing.ts';

const [port, manner] = process.argv.slice(2) as [string, 'guard' | 'close' | 'exit'];
let stopping = false;

const answer: RequestListener = (request, response) => {
  if (request.url === '/readyz') {
    response.writeHead(stopping ? 503 : 200, { 'content-length': 0 }).end();
    return;
  }
  // As long as a handler takes that asks others.
  setTimeout(() => {
    const body = JSON.stringify({ id: 42, by: process.pid });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  }, 5);
};
const guarded = { environment: false, health: true, drain: { delayMs: DELAY_MS, timeoutMs: 10_000 } } as const;
const server = createServer(manner === 'guard' ? guard(answer, guarded) : answer);
if (manner === 'close') {
  process.on('SIGTERM', () => {
    stopping = true;
    server.close(() => process.exit(0));
    // What nobody knows to end by itself is cut, which is what a grace period does.
    setTimeout(() => process.exit(0), 2 * DELAY_MS);
  });
}
server.listen(Number(port), '127.0.0.1', () => process.send?.((server.address() as { port: number }).port));
process.on('disconnect', () => process.exit(0));
