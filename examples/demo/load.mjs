// An open-loop load generator: requests start on time whether or not earlier ones were answered, as users do.
import http from 'node:http';

const giveUpMs = 2_000;

/**
 * Sends `perSecond` requests a second for `seconds` to the gateway on `port`.
 * @returns {Promise<Sample[]>}
 * @typedef {{ ms: number, status: number | null }} Sample
 */
export async function load({ port, perSecond, seconds, agent }) {
  const samples = [];
  const pending = [];
  const start = performance.now();
  const total = Math.round(perSecond * seconds);
  let sent = 0;
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - start) / 1000) * perSecond));
      while (sent < due) pending.push(one(port, agent, sent++).then((sample) => samples.push(sample)));
      if (sent < total) return;
      clearInterval(timer);
      resolve();
    }, 5);
  });
  await Promise.all(pending);
  return samples;
}

/** One request; a user gives up after two seconds. */
function one(port, agent, id) {
  const start = performance.now();
  return new Promise((resolve) => {
    const done = (status) => {
      clearTimeout(timer);
      resolve({ ms: performance.now() - start, status });
    };
    const request = http.get({ host: '127.0.0.1', port, path: `/charges/${id}`, agent }, (response) => {
      response.resume();
      response.on('end', () => done(response.statusCode));
      response.on('error', () => done(null));
    });
    request.on('error', () => done(null));
    const timer = setTimeout(() => {
      request.destroy();
      done(null);
    }, giveUpMs);
  });
}

/** What a list of samples says. */
export function summarize(samples) {
  const served = samples.filter((each) => each.status === 200);
  const refused = samples.filter((each) => each.status === 429);
  return {
    total: samples.length,
    served: summary(served),
    refused: summary(refused),
    failed: samples.length - served.length - refused.length,
  };
}

function summary(samples) {
  const sorted = samples.map((each) => each.ms).sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) };
}
