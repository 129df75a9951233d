/**
 * @module A fleet in virtual time, running the shipped code with fixed seeds: 10,000 processes watch 5 Services each, the
 * API server restarts, and then a Service of 1,000 endpoints is rolled out. What the server sees: how many processes come
 * back in each second, requests, and bytes. The events of the rollout are the same for everybody, so a hundred processes
 * read them and the others count as they do.
 *
 * `npm run bench -- discovery-fleet` takes some minutes; `-- discovery-fleet short` has a tenth of the fleet, and writes no
 * results.
 */
import { createEndpoint, Scope } from '@fairlead/core';
import { kubernetesApi } from '@fairlead/kubernetes';
import { VirtualClock } from '@fairlead/testing';
import { ApiNetwork } from '../packages/kubernetes/test/api-handler.ts';
import { ApiModel } from '../packages/kubernetes/test/api-model.ts';
import { rowOf } from './discovery/apart.ts';
import { sliceOf } from './discovery/slices.ts';
import { check, type Row, save } from './measure.ts';

const short = process.argv.includes('short');
const servicesEach = 5;
const downMs = 30_000;
const settleMs = 240_000;

interface Restart {
  /** The most processes that came back in one second, as a share of the fleet. */
  readonly worst: number;
  /** When the last was back, after the server was, in ms. */
  readonly lastMs: number;
  readonly requestsEach: number;
  /** Tries of a process while nobody was there. */
  readonly refusedEach: number;
  readonly bytesEach: number;
}

/** The API server stops for half a minute while `processes` watch. */
async function restart(processes: number, seed: number): Promise<Restart> {
  const clock = new VirtualClock({ seed });
  const model = new ApiModel();
  for (let s = 0; s < servicesEach; s++) model.put(sliceOf(`service-${s}`, 0, false, 1));
  let backAt = Number.POSITIVE_INFINITY;
  let requests = 0;
  let lastMs = 0;
  let refused = 0;
  /** How many processes came back in each second. */
  const seconds = new Map<number, number>();
  let down = false;
  const networks: ApiNetwork[] = [];
  const scope = new Scope(clock);
  const back = new Set<number>();
  for (let p = 0; p < processes; p++) {
    const network = new ApiNetwork(model, () => clock.random());
    networks.push(network);
    const access = { server: createEndpoint('https://10.96.0.1'), ca: null, namespace: 'prod', token: () => null };
    const api = kubernetesApi({
      access,
      handler(call) {
        // While it is down it sees nobody. A process is one connection: it comes back with the first of its requests.
        if (clock.now() >= backAt) {
          requests++;
          if (!back.has(p)) {
            back.add(p);
            lastMs = clock.now() - backAt;
            const second = Math.floor(lastMs / 1_000);
            seconds.set(second, (seconds.get(second) ?? 0) + 1);
          }
        } else if (down) refused++;
        return network.handler(call);
      },
    });
    for (let s = 0; s < servicesEach; s++) {
      const target = { service: `service-${s}`, namespace: 'prod', port: 'http' };
      api.resolver(target).watch(() => {}, scope, { clock });
    }
  }
  // Long enough that watches have ended and begun at times of their own.
  await clock.advance(400_000);
  down = true;
  for (const network of networks) {
    network.refusing = true;
    network.breakAll();
  }
  await clock.advance(downMs);
  for (const network of networks) network.refusing = false;
  down = false;
  // It has forgotten the past: everybody gets everything anew, as after every real restart.
  model.elsewhere();
  model.compact();
  backAt = clock.now();
  const bytesBefore = networks.reduce((sum, { bytes }) => sum + bytes, 0);
  await clock.advance(settleMs);
  const bytes = networks.reduce((sum, each) => sum + each.bytes, 0) - bytesBefore;
  if (back.size < processes) throw new Error(`${processes - back.size} processes did not come back`);
  const worst = Math.max(...seconds.values()) / processes;
  scope.cancel();
  return {
    worst,
    lastMs,
    requestsEach: requests / processes,
    refusedEach: refused / processes,
    bytesEach: bytes / processes,
  };
}

interface Rollout {
  readonly events: number;
  readonly bytesEach: number;
}

/** Every pod of a Service of 1,000 is replaced, 25 at a time, each wave written as the controller does: slice by slice. */
async function rollout(readers: number): Promise<Rollout> {
  const clock = new VirtualClock({ seed: 1 });
  const model = new ApiModel();
  const network = new ApiNetwork(model, () => clock.random());
  const scope = new Scope(clock);
  const slices = Array.from({ length: 10 }, (_, n) => sliceOf('service-0', n));
  for (const slice of slices) model.put(slice);
  const access = { server: createEndpoint('https://10.96.0.1'), ca: null, namespace: 'prod', token: () => null };
  const known = new Array<number>(readers).fill(0);
  for (let p = 0; p < readers; p++) {
    const api = kubernetesApi({ access, handler: network.handler });
    const target = { service: 'service-0', namespace: 'prod', port: 'http' };
    api
      .resolver(target)
      .watch((update) => 'endpoints' in update && (known[p] = update.endpoints.length), scope, { clock });
  }
  await clock.advance(10_000);
  const before = network.bytes;
  const version = model.version;
  for (let wave = 0; wave < 40; wave++) {
    // New pods are added unready, turn ready, the old ones terminate, and go: four writes to each slice that has some.
    const n = wave >> 2;
    const slice = slices[n] as (typeof slices)[number];
    const from = (wave & 3) * 25;
    const [head, old, tail] = [
      slice.endpoints.slice(0, from),
      slice.endpoints.slice(from, from + 25),
      slice.endpoints.slice(from + 25),
    ];
    const fresh = sliceOf('service-0', 100 + n).endpoints.slice(from, from + 25);
    const set = (all: typeof old, ready: boolean, terminating: boolean): typeof old =>
      all.map((each) => ({ ...each, conditions: { ready, serving: ready || terminating, terminating } }));
    const states = [
      [...head, ...old, ...set(fresh, false, false), ...tail],
      [...head, ...old, ...fresh, ...tail],
      [...head, ...set(old, false, true), ...fresh, ...tail],
      [...head, ...fresh, ...tail],
    ];
    for (const endpoints of states) {
      slices[n] = { ...slice, endpoints };
      model.put(slices[n]);
      await clock.advance(1_000);
    }
  }
  await clock.advance(1_000);
  if (known.some((count) => count !== 1_000))
    throw new Error(`somebody knows ${known.find((n) => n !== 1_000)} endpoints`);
  scope.cancel();
  return { events: model.version - version, bytesEach: (network.bytes - before) / readers };
}

const sizes = short ? [10, 100, 1_000] : [10, 100, 1_000, 10_000];
const largest = sizes.at(-1) as number;
const rows: Row[] = [];
let worst = 0;
for (const size of sizes) {
  const found = await restart(size, 1);
  const name = `restart, ${size} processes`;
  worst = found.worst;
  rows.push(
    rowOf(name, 'most in one second', '% of the fleet', [found.worst * 100]),
    rowOf(name, 'all are back after', 's', [found.lastMs / 1_000]),
    rowOf(name, 'requests of a process', '', [found.requestsEach]),
    rowOf(name, 'tries of a process before', '', [found.refusedEach]),
    rowOf(name, 'bytes to a process', 'bytes', [found.bytesEach]),
  );
}
const rolled = await rollout(short ? 10 : 100);
rows.push(
  rowOf('rollout of 1,000 endpoints', 'events', '', [rolled.events]),
  rowOf('rollout of 1,000 endpoints', 'bytes to a process', 'bytes', [rolled.bytesEach]),
);
console.log(
  `\nup to ${largest} processes, ${servicesEach} Services each; the API server is away for ${downMs / 1_000} s`,
);
console.table(rows.map(({ case: what, metric, unit, median }) => ({ case: what, metric, unit, value: median })));
// A tenth of the fleet scatters more: chance, not the algorithm.
check('most processes that come back in one second', worst * 100, '% of the fleet', short ? 4 : 2);
if (!short) save('discovery-fleet', rows);
