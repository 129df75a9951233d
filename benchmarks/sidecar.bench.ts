/**
 * @module What one hop through a sidecar adds to a call, beside what our whole stack adds to the same call: latency, and
 * CPU time of the client and of the proxy together. The call itself, made with `Pool.request`, is taken off from both.
 *
 * A real mesh pays more: two hops, mutual TLS, access logs. The proxies run on the server's core, where with one call at a
 * time nobody is in their way, and the server is a few lines that answer canned bytes.
 *
 * `npm run bench -- sidecar`, or `-- sidecar short`, which writes no results.
 */
import { Pool } from 'undici';
import { startApart } from './apart.ts';
import { type Case, check, measure, type Row, save } from './measure.ts';
import { everythingOn } from './overhead/fairlead.ts';
import { startProxies } from './sidecar/proxies.ts';
import { spread } from './spread.ts';

const short = process.argv.includes('short');
const path = '/charges/42';
const direct = 'Pool.request';
const ours = 'Fairlead, everything on: added';

const server = await startApart<string[]>('canned-server.mjs', '5');
const origins = server.ready;
const proxies = await startProxies(origins, 0);

const rows: Row[] = [];
for (const connections of [1, 32]) {
  const client = everythingOn(origins, { transport: { connections } });
  const pools = [origins[0] as string, ...proxies.map(({ origin }) => origin)].map(
    (origin) => new Pool(origin, { connections }),
  );
  const calling = (call: () => Promise<unknown>): Case['run'] => {
    // With many at a time a latency is mostly the wait for the others.
    return (n, latencies) => spread(n, connections, call, connections === 1 ? latencies : undefined);
  };
  const request = (pool: Pool): Case['run'] =>
    calling(async () => (await pool.request({ path, method: 'GET' })).body.json());
  const hops = proxies.map(({ name, version, pid }, i) => ({
    name: `a hop through ${name} ${version}: added`,
    run: request(pools[i + 1] as Pool),
    less: direct,
    also: [pid],
  }));
  const measured = await measure({
    name: `${connections} connection${connections > 1 ? 's' : ''}, GET of a small JSON, per request; CPU with that of the proxy`,
    // Many and small: the finer they are interleaved, the more of the machine's moods the difference is free of.
    rounds: short ? 15 : 61,
    perRound: short ? 400 : 1_000,
    cases: [
      { name: direct, run: request(pools[0] as Pool) },
      ...hops,
      { name: ours, run: calling(async () => (await client.fetch(`http://payments${path}`)).json()), less: direct },
    ],
  });
  // CPU time where it is dear, under load; latency where it is visible, without. Of the medians: what is added is a small
  // difference, and in a single round that of a hop may come out as nothing.
  const metric = connections === 1 ? 'p50' : 'cpu';
  const added = (name: string): number =>
    measured.find((row) => row.case === name && row.metric === metric)?.median ?? 0;
  for (const { name } of hops) check(`${ours}, ${metric}`, added(ours) / added(name), `× ${name}`, 0.1);
  rows.push(...measured.map((row) => ({ ...row, case: `${row.case}, ${connections} connections` })));
  await Promise.all([client.close(), ...pools.map((pool) => pool.close())]);
}
await Promise.all(proxies.map((proxy) => proxy.stop()));
if (!short) save('sidecar', rows);
process.exit();
