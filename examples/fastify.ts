// Inbound under fastify: the guard as a plugin, a hardened server, and two limits of which each request has to pass both.
import { keyedBuckets } from 'fairlead';
import { clientAddress, guard, harden, rateLimit, signalOf } from 'fairlead/fastify';
import fastify from 'fastify';

// #region limits
const key = clientAddress();
const limits = rateLimit([
  { name: 'burst', limiter: keyedBuckets({ perSecond: 5, burst: 5 }), key },
  {
    name: 'sustained',
    limiter: keyedBuckets({ perSecond: 0.1, burst: 360 }),
    key,
    // Only one route counts towards this one, and an export counts for ten.
    cost: (call) => (call.path.startsWith('/export') ? 10 : 0),
    legacyHeaders: true,
  },
]);
// #endregion

// #region guard
const app = fastify();
harden(app.server, { maxBodyBytes: 100_000 });
await app.register(guard({ layers: [limits] }));
app.get('/export', async (request) => {
  // Aborts when the client goes away, and when its deadline passes.
  const signal = signalOf(request);
  return { exported: true, aborted: signal?.aborted };
});
app.post('/orders', async (request) => request.body);
const origin = await app.listen({ port: 0, host: '127.0.0.1' });
// #endregion

const first = await fetch(`${origin}/export`);
if ((await first.text()) !== '{"exported":true,"aborted":false}') throw new Error('the handler did not answer');
console.log(first.headers.get('ratelimit'), '| left the old way:', first.headers.get('x-ratelimit-remaining'));
if (first.headers.get('x-ratelimit-remaining') !== '350') throw new Error('an export did not count for ten');

const ambiguous = await fetch(`${origin}/export%2f..%2fadmin`);
if (ambiguous.status !== 400) throw new Error('an ambiguous path was let through');
const large = await fetch(`${origin}/orders`, { method: 'POST', body: 'x'.repeat(100_001) });
if (large.status !== 413) throw new Error('a body that is too long was let through');

const statuses = await Promise.all(Array.from({ length: 8 }, async () => (await fetch(`${origin}/nowhere`)).status));
console.log(statuses.join(' '));
if (!statuses.includes(429) || !statuses.includes(404)) throw new Error('the limit was not kept');
await app.close();
