// Inbound around hono: on Node, where the guard sees connections, and anywhere else, where it sees what it is told; and in it.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { guard, harden } from 'fairlead/hono';
import { Hono } from 'hono';

// #region node
const app = new Hono();
app.get('/', (c) => c.text('hello'));
const fetchGuarded = guard(app.fetch, { limit: { perSecond: 5, burst: 5 }, health: true });
const server = createAdaptorServer({ fetch: fetchGuarded });
harden(server);
server.listen(0, '127.0.0.1');
// #endregion

await once(server, 'listening');
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const statuses: number[] = [];
for (let i = 0; i < 7; i++) statuses.push((await fetch(origin)).status);
console.log('on Node:', statuses.join(' '));
if (statuses[0] !== 200 || !statuses.includes(429)) throw new Error('the limit was not kept');
if ((await fetch(`${origin}/readyz`)).status !== 200) throw new Error('the probe was limited, too');

// #region elsewhere
const limit = { perSecond: 0.1, burst: 1 };
const address = (_request: Request, env: { ip: string }): string => env.ip;
const anywhere = guard(app.fetch, { limit, drain: false, address });
// #endregion

// #region use
const within = new Hono<{ Bindings: { ip: string } }>();
within.use(guard({ limit, drain: false, address: (c: { env: { ip: string } }) => c.env.ip }));
within.get('/', (c) => c.text('hello'));
// #endregion

for (const [name, handler] of Object.entries({ anywhere, within: within.fetch })) {
  const ask = async (ip: string): Promise<number> => (await handler(new Request('http://service/'), { ip })).status;
  const elsewhere = [await ask('192.0.2.1'), await ask('192.0.2.1'), await ask('192.0.2.2')];
  console.log(`${name}:`, elsewhere.join(' '));
  if (elsewhere.join() !== '200,429,200') throw new Error('callers were not told apart');
}
server.close();
