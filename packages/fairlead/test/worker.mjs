/** A client in a thread of its own, from the built package. Leaves the client open: the thread has to end all the same. */
import { parentPort, workerData } from 'node:worker_threads';
import { createClient } from '../dist/index.js';

const client = createClient({ environment: false, services: { svc: workerData } });
let ok = 0;
for (let i = 0; i < 50; i++) if ((await (await client.fetch('http://svc/')).text()) === 'ok') ok++;
parentPort.postMessage({ ok, health: client.describe().svc.endpoints.map(({ health }) => health) });
