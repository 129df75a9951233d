// Two replicas on machines of which one has little left: it says so, and gets less. Any server that writes ORCA's load
// reports will do; a guard of Fairlead does it by itself.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep, systemClock } from 'fairlead';

const served = [0, 0];
const servers: Server[] = [0.9, 0.2].map((load, index) =>
  createServer((request, response) => {
    served[index] = (served[index] as number) + 1;
    if (request.headers['x-fairlead-tell'] === 'load') {
      response.setHeader('endpoint-load-metrics', `TEXT cpu_utilization=${load}`);
    }
    response.end('done');
  }),
);
await Promise.all(servers.map((server) => new Promise<void>((up) => server.listen(0, '127.0.0.1', up))));
const origins = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);

// #region client
import { createClient } from 'fairlead';

await using client = createClient({
  services: { search: { from: origins, loadReports: { periodMs: 100, blackoutMs: 0 } } },
});
// #endregion

for (let i = 0; i < 200; i++) {
  await (await client.fetch('http://search/')).text();
  await sleep(systemClock, 5);
}
for (const server of servers) server.close().closeAllConnections();
const [busy, idle] = served as [number, number];
if (busy > 0.45 * idle) throw new Error(`expected less for the busy one: ${busy} and ${idle}`);
console.log(`the busy replica got ${busy} calls, the other one ${idle}`);
