// Endpoints from a file: whoever writes the file moves the traffic, and no call notices; a mistake in it moves nothing.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

async function replica(name: string) {
  const server = createServer((_request, response) => response.end(name)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, host: `127.0.0.1:${(server.address() as { port: number }).port}` };
}
const [blue, green] = [await replica('blue'), await replica('green')];
const folder = mkdtempSync(join(tmpdir(), 'fairlead-example-'));
const path = join(folder, 'payments.json');
const write = (text: string) => writeFileSync(path, text);
write(JSON.stringify({ endpoints: [{ origin: `http://${blue.host}`, zone: 'a' }] }));

// #region client
import { createClient } from 'fairlead';

const client = createClient({
  services: { payments: `file://${path}` },
  on: (event) => event.type === 'resolver.failed' && console.warn(event.error.message),
});
const reply = await client.fetch('http://payments/charges/42');
// #endregion

if ((await reply.text()) !== 'blue') throw new Error('expected an answer from blue');

/** Calls until `right`, and lets no call fail. */
async function calls(right: (answer: string) => boolean): Promise<void> {
  for (let i = 0; i < 5_000; i++) {
    const { ok, text } = await client.fetch('http://payments/').then(async (r) => ({ ok: r.ok, text: await r.text() }));
    if (!ok) throw new Error('a call failed');
    if (right(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error('the change was not noticed');
}

write('{ "endpoints": ['); // half of a file, as a careless writer leaves it: told, and nothing else happens
await calls(() => client.describe().payments?.error != null);
// In the form of Prometheus' file_sd, for which every platform has a generator.
write(JSON.stringify([{ targets: [green.host], labels: { fairlead_weight: '2', zone: 'b' } }]));
await calls((answer) => answer === 'green');

await client.close();
for (const { server } of [blue, green]) server.close();
rmSync(folder, { recursive: true });
console.log('from blue to green, by way of half a file, and no call failed');
