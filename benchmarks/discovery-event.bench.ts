/**
 * @module What a change costs: from the bytes of one event, a slice of 100 endpoints of which one turns unready or ready
 * again, to the next pick. In one process and without sockets, so that it is this and nothing else; beside it what
 * JSON.parse alone takes of it, which is the floor.
 *
 * `npm run bench -- discovery-event`; `-- discovery-event short` writes no results.
 */
import { Cluster, p2c } from '@fairlead/balance';
import { createCall, createEndpoint, createReply, type Reply, Scope, systemClock } from '@fairlead/core';
import { kubernetes } from '@fairlead/kubernetes';
import type { ModelSlice } from '../packages/kubernetes/test/api-model.ts';
import { ApiModel } from '../packages/kubernetes/test/api-model.ts';
import { sliceOf } from './discovery/slices.ts';
import { type Case, type Latencies, measure, save } from './measure.ts';

const short = process.argv.includes('short');
const never = (): (() => void) => () => {};

/** The lines that the model sends when `slices` are put. */
function linesOf(...slices: readonly ModelSlice[]): string[] {
  const model = new ApiModel();
  const lines: string[] = [];
  const wire = { head: () => {}, write: (text: string) => void lines.push(text), end: () => {}, reset: () => {} };
  const path = '/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices?labelSelector=kubernetes.io/service-name=s';
  model.request(`${path}&watch=true&allowWatchBookmarks=true`, wire, never);
  lines.length = 0;
  for (const slice of slices) model.put(slice);
  return lines;
}

/** Bytes of the two events that follow each other for ever. */
const events = linesOf(sliceOf('s', 0, true), sliceOf('s', 0)).map((line) => Buffer.from(line));

/** A service of so many slices, up to the pick; one run is one event in one read. */
async function picking(slices: number): Promise<Case> {
  let push: (bytes: Uint8Array) => void = () => {};
  const begin = linesOf(...Array.from({ length: slices }, (_, n) => sliceOf('s', n))).join('');
  const mark =
    '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1","annotations":{"k8s.io/initial-events-end":"true"}}}}\n';
  const handler = async (): Promise<Reply> => ({
    ...createReply(),
    status: 200,
    headers: {},
    onEnd: () => {},
    body: {
      attach(sink) {
        push = (bytes) => sink.onData(bytes);
        push(Buffer.from(begin + mark));
      },
      pause: () => {},
      resume: () => {},
      cancel: () => {},
    },
  });
  const access = { server: createEndpoint('http://127.0.0.1:1'), ca: null, namespace: 'prod', token: () => null };
  const runtime = { clock: systemClock };
  const cluster = new Cluster({
    service: 's',
    resolver: kubernetes({ service: 's', port: 'http', access, handler }),
    runtime,
  });
  cluster.start();
  await cluster.waitReady(new Scope(systemClock));
  const picker = p2c();
  const call = createCall({ service: 's', runtime });
  let n = 0;
  return {
    name: `${slices} slice${slices === 1 ? '' : 's'} of 100`,
    run(times: number, latencies: Latencies) {
      for (let i = 0; i < times; i++) {
        const begun = systemClock.now();
        push(events[n++ & 1] as Buffer);
        if (picker.pick(cluster.roster.preferred(begun), call) === undefined) throw new Error('nobody');
        latencies.add(systemClock.now() - begun);
      }
    },
  };
}

const parse: Case = {
  name: 'JSON.parse alone',
  run(times) {
    for (let i = 0; i < times; i++) JSON.parse((events[i & 1] as Buffer).toString());
  },
};

console.log(`an event of ${events[0]?.length} bytes`);
const one = await picking(1);
const rows = await measure({
  name: 'an event, from its bytes to the next pick',
  rounds: short ? 5 : 30,
  perRound: 1_000,
  settle: 500,
  baseline: parse.name,
  cases: [parse, one, await picking(10)],
  bars: [
    { case: one.name, metric: 'cpu', max: 120 },
    { case: one.name, metric: 'p99', max: 2_000 },
  ],
});
if (!short) save('discovery-event', rows);
process.exit();
