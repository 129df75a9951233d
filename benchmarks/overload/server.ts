/**
 * @module A service of fastify whose handler burns CPU, with one of the things in front of it that keep overload away.
 * Arguments: which, turns of the loop to burn, and, for the fixed limit, how many per second.
 */
import fastify from 'fastify';
import { burn } from './burn.ts';
import { type Facing, facings } from './facings.ts';

const [facing, turns, perSecond] = process.argv.slice(2) as [Facing, string, string];
const app = fastify();
await facings[facing](app, Number(perSecond));
app.get('/', async () => {
  burn(Number(turns));
  return { id: 42 };
});
await app.listen({ port: 0, host: '127.0.0.1' });
process.on('disconnect', () => process.exit(0));
process.send?.((app.server.address() as { port: number }).port);
