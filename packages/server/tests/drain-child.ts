/** @module A process that a test tells to stop: prints its port, then what becomes of it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createDrain, createGuard } from '../src/index.js';

const drain = createDrain({ delayMs: Number(process.argv[2]), cleanup: () => console.log('cleaned up') });
const guard = createGuard({ drain });
const app = express();
app.use(guard.express());
app.get('/hang', () => {
  console.log('hanging');
});
app.get('/', (_req, res) => {
  res.send('ok');
});
if (process.argv[3] === 'own-listener') {
  process.on('SIGTERM', () => console.log('own listener'));
  // Late enough for a signal that should not have been sent again to arrive.
  void drain.done.then(() => setTimeout(() => process.exit(7), 100));
}
const server = createServer(app).listen(0, '127.0.0.1', () =>
  console.log(`port ${(server.address() as AddressInfo).port}`),
);
