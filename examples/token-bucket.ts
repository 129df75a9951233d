// So many calls per second and no more; by caller, too.
import { createServer } from 'node:http';
import { createCall, createReply, type Handler } from 'fairlead';

const server = createServer((_request, response) => void response.end()).listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));
const origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;

// #region client
import { createClient, RejectedError } from 'fairlead';

const client = createClient({ services: { geocoder: { from: [origin], limit: { perSecond: 10, burst: 20 } } } });

/** When to come back, in ms; 0 if the call was let in. */
async function callOnce(): Promise<number> {
  try {
    const reply = await client.fetch('http://geocoder/');
    await reply.text();
    return 0;
  } catch (error) {
    const { cause } = error as Error;
    if (cause instanceof RejectedError && cause.by === 'limit') return cause.retryAfterMs ?? Number.POSITIVE_INFINITY;
    throw error;
  }
}
// #endregion

const waits = await Promise.all(Array.from({ length: 40 }, callOnce));
const served = waits.filter((ms) => ms === 0).length;
if (served < 20 || served === 40) throw new Error(`expected 20 of 40 or a few more: ${served}`);
await client.close();
server.close();

// Stands for what sends.
const transport: Handler = async () => createReply();

// #region stack
import { compose, gate, tokenBucket } from 'fairlead';

const quota = tokenBucket({ perSecond: 50, burst: 100, cost: (call) => (call.method === 'GET' ? 1 : 5) });
const handler = compose([gate(quota)], transport);
// #endregion

const posts = Array.from({ length: 40 }, () =>
  handler(createCall({ service: 'geocoder', method: 'POST', runtime: { clock: systemClock } })),
);
const settled = await Promise.allSettled(posts);
const letIn = settled.filter(({ status }) => status === 'fulfilled').length;
if (letIn < 20 || letIn === 40) throw new Error(`expected 20 of 40 or a few more: ${letIn}`);

// #region keyed
import { keyedBuckets, systemClock } from 'fairlead';

const buckets = keyedBuckets({ perSecond: 10, burst: 20 });

/** A refusal for a caller who has used up what is his, else null. */
function refusalOf(caller: string): Response | null {
  const { allowed, retryAfterMs } = buckets.take(caller, systemClock.now());
  if (allowed) return null;
  return new Response(null, { status: 429, headers: { 'retry-after': `${Math.ceil(retryAfterMs / 1_000)}` } });
}
// #endregion

const refusals = Array.from({ length: 40 }, () => refusalOf('ada')).filter((reply) => reply !== null);
if (refusals.length === 0 || refusals.length > 20)
  throw new Error(`expected 20 of 40 or a few less: ${refusals.length}`);
if (refusals[0]?.headers.get('retry-after') !== '1') throw new Error('expected to be told to come back in 1 s');
if (refusalOf('bob') !== null) throw new Error('expected another caller to be let in');
console.log(
  `of 40 calls at once ${served} were let in, of 40 dear ones ${letIn}, of 40 of one caller ${40 - refusals.length}`,
);
