// Inbound under hono: on Node, where the guard sees connections, and anywhere else, where it sees what it is told.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { guard, harden } from 'fairlead/hono';
import { Hono } from 'hono';

// #region node
const app = new Hono();
app.use(guard({ limit: { perSecond: 5, burst: 5 }, health: true }));
app.get('/', (c) => c.text('hello'));
const server = createAdaptorServer({ fetch: app.fetch });
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
const anywhere = new Hono<{ Bindings: { address: string } }>();
const address = (c: { env: { address: string } }): string => c.env.address;
anywhere.use(guard({ limit: { perSecond: 0.1, burst: 1 }, drain: false, address }));
anywhere.get('/', (c) => c.text('hello'));
// #endregion

const ask = async (from: string): Promise<number> =>
  (await anywhere.fetch(new Request('http://service/'), { address: from })).status;
const elsewhere = [await ask('192.0.2.1'), await ask('192.0.2.1'), await ask('192.0.2.2')];
console.log('elsewhere:', elsewhere.join(' '));
if (elsewhere.join() !== '200,429,200') throw new Error('callers were not told apart');
server.close();
