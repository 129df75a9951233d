// An application that calls one service, `svc`, for as long as it lives: a call every 20 ms, whatever becomes of those
// before, and every third of them a POST. The environment says where the service is; a DNS server of our own, which only
// code can give, comes as an argument. Forked; it answers each message with where it stands, and `stop` when all is over.
// `node client.mjs [HOST SERVER]`
import { createClient, dns } from 'fairlead';

const [host, server] = process.argv.slice(2);
// A server that was away for long is asked again within `maxRefreshMs`, by default a minute: that would be all we see.
const from = host === undefined ? undefined : dns({ host, type: 'srv', servers: [server], maxRefreshMs: 10_000 });
const client = createClient({ services: from === undefined ? {} : { svc: { from } } });

/** @type {Record<string, number>} */
const failures = {};
/** @type {number[]} */
const latencies = [];
/** @type {Set<Promise<void>>} */
const open = new Set();
let calls = 0;

async function call() {
  const begun = performance.now();
  const init = calls++ % 3 === 0 ? { method: 'POST', body: '{"amount":4200}' } : undefined;
  try {
    const reply = await client.fetch('http://svc/charges', init);
    await reply.text();
    if (reply.status !== 200) fail(`status ${reply.status}`);
  } catch (error) {
    fail(`${error.message}: ${error.cause?.message}`);
  }
  latencies.push(performance.now() - begun);
}

/** @param {string} why */
function fail(why) {
  failures[why] = (failures[why] ?? 0) + 1;
}

const ticking = setInterval(() => {
  const one = call().finally(() => open.delete(one));
  open.add(one);
}, 20);

function told() {
  const { endpoints, ageMs, error } = client.describe().svc;
  const sorted = [...latencies].sort((a, b) => a - b);
  return {
    calls: latencies.length,
    failures,
    p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    most: sorted.at(-1) ?? 0,
    ports: endpoints.map(({ origin }) => Number(new URL(origin).port)).sort(),
    ageMs,
    error,
  };
}

process.on('message', async (message) => {
  if (message === 'stop') {
    clearInterval(ticking);
    await Promise.all(open);
    await client.close();
  }
  process.send?.(told());
});
process.on('disconnect', () => process.exit());
