// A process that watches Services, and tells what that costs. `node --expose-gc watching.mjs ORIGIN CA SERVICES SECONDS`
import { createEndpoint, Scope, systemClock } from '@fairlead/core';
import { kubernetesApi } from '@fairlead/kubernetes';
import { createTransport } from '@fairlead/transport';

const [origin = '', ca = '', services = '1', seconds = '0'] = process.argv.slice(2);
const gc = /** @type {() => void} */ (globalThis.gc);
const peak = () => process.resourceUsage().maxRSS * 1_024;
const { handler, close } = createTransport({ http2: true, tls: { ca } });
let lastByteAt = 0;
/** @param {import('@fairlead/core').Reply} reply */
function timed(reply) {
  const attach = reply.body.attach.bind(reply.body);
  reply.body.attach = (sink) =>
    attach({
      onData(chunk) {
        lastByteAt = performance.now();
        sink.onData(chunk);
      },
      onEnd: (trailers) => sink.onEnd(trailers),
      onError: (error) => sink.onError(error),
    });
  return reply;
}
const access = { server: createEndpoint(origin), ca: null, namespace: 'prod', token: () => null };
const api = kubernetesApi({ access, handler: async (call) => timed(await handler(call)) });

/** @param {string} service */
async function watch(service) {
  const scope = new Scope(systemClock);
  const began = performance.now();
  let count = 0;
  await /** @type {Promise<void>} */ (
    new Promise((resolve, reject) => {
      api.resolver({ service, namespace: 'prod', port: 'http' }).watch(
        (update) => {
          if ('error' in update) return reject(update.error);
          count = update.endpoints.length;
          resolve();
        },
        scope,
        { clock: systemClock },
      );
    })
  );
  return { ms: performance.now() - began, afterLastByteMs: performance.now() - lastByteAt, count, scope };
}

// What the first request of a process needs is loaded before anything is counted.
const first = await watch('nobody');
gc();
gc();
const before = process.memoryUsage();
const peakBefore = peak();
const scopes = [first.scope];
let last = first;
for (let i = 0; i < Number(services); i++) {
  last = await watch(`service-${i}`);
  scopes.push(last.scope);
}
const peakAfter = peak();
gc();
gc();
const now = process.memoryUsage();
// What a start leaves to do, compiling and collecting, is over by then.
if (Number(seconds) > 0) await new Promise((resolve) => setTimeout(resolve, 5_000));
const cpu = process.cpuUsage();
const begun = performance.now();
await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1_000));
const { user, system } = process.cpuUsage(cpu);
const lasted = performance.now() - begun;
for (const scope of scopes) scope.cancel();
await close(0);
process.stdout.write(
  JSON.stringify({
    total: last.ms,
    afterLastByte: last.afterLastByteMs,
    endpoints: last.count,
    peak: Math.max(peakAfter, peakBefore) - before.rss,
    kept: (now.heapUsed + now.external - before.heapUsed - before.external) / Number(services),
    core: (user + system) / 1_000 / lasted,
  }),
);
process.exit();
