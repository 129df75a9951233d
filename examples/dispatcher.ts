// Code that uses undici, and a fetch that takes a dispatcher: the same stack, without client.fetch.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createClient } from 'fairlead';
import { request } from 'undici';

const server = createServer((request, response) => response.end(`charged ${request.url}`)).listen(0, '127.0.0.1');
await once(server, 'listening');
const alive = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const services = { payments: { from: ['http://127.0.0.1:1', alive], attempts: 3 } };

// #region dispatcher
const client = createClient({ services });
const { dispatcher } = client;

const { statusCode, body } = await request('http://payments/charges/1', { dispatcher });
const reply = await fetch('http://payments/charges/2', { dispatcher } as never); // Node's types are those of undici 6
// #endregion

const seen = [statusCode, await body.text(), reply.status, await reply.text()].join(' ');
if (seen !== '200 charged /charges/1 200 charged /charges/2') throw new Error(seen);

// #region global
const restore = client.installGlobal();
const any = await request('http://payments/charges/3'); // as if the process had one more host
restore();
// #endregion

if ((await any.body.text()) !== 'charged /charges/3') throw new Error('not through the global dispatcher');
console.log(seen);
await client.close();
server.close();
