/** @module A service of several workers, processes or threads, that a test tells to stop: prints what becomes of each. */
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { isMainThread, threadId, Worker } from 'node:worker_threads';
import { clusterWorkers, createDrain, createGuard, workerThreads } from '../src/index.js';

const [kind, workersDelayMs, listens] = process.argv.slice(2) as ['cluster' | 'threads', string, string | undefined];
const COUNT = 2;

if (kind === 'cluster' && cluster.isPrimary) {
  for (let i = 0; i < COUNT; i++) cluster.fork();
  cluster.on('exit', (_worker, code, signal) => console.log(`worker ended ${code} ${signal}`));
  createDrain({ servers: clusterWorkers(), delayMs: 0, cleanup: () => console.log('primary cleaned up') });
} else if (kind === 'threads' && isMainThread) {
  const threads = Array.from(
    { length: COUNT },
    () => new Worker(fileURLToPath(import.meta.url), { argv: process.argv.slice(2) }),
  );
  for (const thread of threads) thread.on('exit', (code) => console.log(`worker ended ${code}`));
  createDrain({ servers: workerThreads(threads), delayMs: 0, cleanup: () => console.log('primary cleaned up') });
} else {
  const name = cluster.isWorker ? cluster.worker?.id : threadId;
  const drain = createDrain({
    delayMs: Number(workersDelayMs),
    cleanup: () => console.log(`worker ${name} cleaned up`),
  });
  // Gone after the first, so that the drain may end the process.
  if (listens !== undefined) process.once('SIGTERM', () => console.log('signaled'));
  const guard = createGuard({ drain });
  const server = createServer(
    guard.node((request, response) => {
      if (request.url === '/hang') console.log(`hanging in ${process.pid}`);
      else response.end('ok');
    }),
  );
  drain.add(server);
  server.listen(0, '127.0.0.1', () => console.log(`port ${(server.address() as AddressInfo).port}`));
}
