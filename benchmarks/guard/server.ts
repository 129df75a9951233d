/** @module A server that answers a small JSON, behind what the first argument names. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cases } from './cases.ts';

const make = cases[process.argv[2] as string];
if (make === undefined) throw new Error(`there is no case ${process.argv[2]}`);
const server: Server = await make();
if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
process.on('disconnect', () => process.exit(0));
process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
