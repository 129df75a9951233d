/**
 * @module What everything on costs where there is more to a call than a small JSON: large bodies, streams, many headers,
 * TLS, HTTP/2. Each kind of call is made by bare undici, too: to the same endpoints in turns, and what comes is read in the
 * same way.
 *
 * `npm run bench -- http-compare`, or `-- http-compare short`, which writes no results. Another word takes only the
 * comparisons whose names have it: `-- http-compare short TLS`.
 */
import { type Client, ConfigError } from 'fairlead';
import { Pool } from 'undici';
import { startApart } from './apart.ts';
import { makeCertificate } from './http-compare/certificate.ts';
import { type Comparison, comparisons } from './http-compare/comparisons.ts';
import { measure, type Row, save } from './measure.ts';
import { everythingOn } from './overhead/fairlead.ts';
import { spread } from './spread.ts';

const words = process.argv.slice(2);
const short = words.includes('short');
const wanted = words.filter((word) => word !== 'short');
const ENDPOINTS = 5;

const certificate = makeCertificate();
const files = certificate === null ? [] : [certificate.certificate, certificate.key];
const server = await startApart<Record<Comparison['protocol'], string[]>>(
  'http-compare/server.mjs',
  String(ENDPOINTS),
  ...files,
);
certificate?.remove();

const rows: Row[] = [];
for (const comparison of comparisons) {
  const { name, protocol, floor, width } = comparison;
  const origins = server.ready[protocol];
  if (origins.length === 0 || !wanted.every((word) => name.includes(word))) continue;
  const client = open(comparison, origins);
  if (client === null) {
    console.log(`skipped  ${name}: the transport does not offer it`);
    continue;
  }
  const settings = {
    connections: width,
    allowH2: protocol === 'http2',
    ...(protocol === 'http' ? {} : { connect: { ca: certificate?.ca } }),
  };
  const pools = origins.map((origin) => new Pool(origin, settings));
  let turn = 0;
  const nextPool = (): Pool => pools[turn++ % pools.length] as Pool;
  const perRound = short ? Math.ceil(comparison.perRound / 3) : comparison.perRound;
  const measured = await measure({
    name: `${name}, ${width} at a time, per request`,
    rounds: short ? 7 : 31,
    perRound,
    baseline: floor,
    cases: [
      { name: floor, run: (n) => spread(n, width, () => comparison.bare(nextPool())) },
      { name: 'Fairlead, everything on', run: (n) => spread(n, width, () => comparison.ours(client)) },
    ],
    bars: [{ case: 'Fairlead, everything on', metric: 'cpu', ratioTo: floor, max: 1.05 }],
  });
  rows.push(...measured.map((row) => ({ ...row, case: `${name}: ${row.case}` })));
  await Promise.all([client.close(), ...pools.map((pool) => pool.close())]);
}
if (!short && wanted.length === 0) save('http-compare', rows);
process.exit();

/** Null if the transport cannot do it. */
function open({ protocol, width }: Comparison, origins: readonly string[]): Client | null {
  const tls = protocol === 'http' ? {} : { tls: { ca: certificate?.ca } };
  const http2 = protocol === 'http2' ? { http2: true } : {};
  try {
    return everythingOn(origins, { transport: { connections: width, ...tls, ...http2 } });
  } catch (error) {
    if (protocol === 'http2' && error instanceof ConfigError) return null;
    throw error;
  }
}
