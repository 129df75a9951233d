/**
 * @module A million callers, each with an address of its own, as an attacker has who writes what he likes into a header or owns
 * an IPv6 network. The guard is told to tell ten thousand apart: its memory must stay what that takes, and a request must cost
 * at the end what it cost before. Beside it the limiters of today, who keep everybody for a minute.
 *
 * `npm run bench -- keys`, or `-- keys short` with a tenth of them, which writes no results.
 */
import { once } from 'node:events';
import { Pool } from 'undici';
import { type Apart, startApart } from './apart.ts';
import { addressOf, MAX_KEYS } from './keys/callers.ts';
import { check, type Row, round, save } from './measure.ts';
import { spread } from './spread.ts';

const short = process.argv.includes('short');
const CALLERS = short ? 100_000 : 1_000_000;
/** The others are slower, and a part of it shows where it goes. */
const PEERS_CALLERS = CALLERS / 5;
const TENTHS = 10;
const WIDTH = 32;
/** What a key may take at most, in bytes: a bucket, a short string, and its place in a table. */
const PER_KEY = 300;

interface State {
  /** CPU time since it began, in µs, without collections that were asked for. */
  readonly cpu: number;
  readonly bytes: number;
  readonly gc: number;
}

const rows: Row[] = [];
for (const [name, callers] of [
  ['guard', CALLERS],
  ['express-rate-limit', PEERS_CALLERS],
  ['rate-limiter-flexible', PEERS_CALLERS],
] as const) {
  const server = await startApart<string>('keys/server.ts', name);
  const pool = new Pool(server.ready, { connections: WIDTH });
  let next = 0;
  const ask = async (): Promise<void> => {
    const headers = { 'x-forwarded-for': addressOf(next++) };
    await (await pool.request({ method: 'GET', path: '/', headers })).body.dump();
  };
  // Compiled, and nobody known yet but one.
  await spread(20_000, WIDTH, async () => {
    next = 0xffffff;
    await ask();
  });
  next = 0;
  const states = [await look(server)];
  for (let i = 0; i < TENTHS; i++) {
    await spread(callers / TENTHS, WIDTH, ask);
    states.push(await look(server));
  }
  server.process.kill();
  await pool.destroy();

  const [empty] = states as [State];
  const table = states.slice(1).map((state, i) => ({
    callers: ((i + 1) * callers) / TENTHS,
    'KiB more': Math.round((state.bytes - empty.bytes) / 1024),
    'CPU µs each': round((state.cpu - (states[i] as State).cpu - (states[i] as State).gc) / (callers / TENTHS)),
  }));
  console.log(`\n${name}`);
  console.table(table);
  const costs = table.map((each) => each['CPU µs each']);
  const grown = table.map((each) => each['KiB more']);
  if (name === 'guard') {
    check(
      'memory at its highest, over that before anybody came',
      Math.max(...grown),
      'KiB',
      (MAX_KEYS * PER_KEY) / 1024,
    );
    // The first tenth fills the table. Medians, since one tenth of them may be disturbed.
    check('a request in the second half', median(costs.slice(5)) / median(costs.slice(0, 5)), '× the first', 1.05);
  }
  const row = { case: `${name}, ${callers} callers`, ratioTo: {} };
  const spreadOf = (values: number[]): Pick<Row, 'median' | 'min' | 'max'> => ({
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
  });
  rows.push({ ...row, metric: 'cpu', unit: 'µs', ...spreadOf(costs) });
  rows.push({ ...row, metric: 'memory', unit: 'KiB', ...spreadOf(grown) });
}
if (!short) save('keys', rows);
process.exit();

async function look(server: Apart<string>): Promise<State> {
  server.process.send('look');
  return (await once(server.process, 'message'))[0] as State;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}
