/**
 * @module What everything on costs a server per request under each framework, beside the bare framework and what teams use
 * today. Each server is a process of its own on core 0, all of them alive at once; the load goes to one after the other, a
 * few hundred requests at a time, many times over. What counts is the CPU time of the server, "of it
 * elsewhere"; the callers' own does not, since they never sleep.
 *
 * The requests have the headers that a mesh gives them: a trace, a deadline, a class.
 *
 * `npm run bench -- guard`, or `-- guard short`, which writes no results; other words pick frameworks: `-- guard short fastify`.
 */
import { Pool } from 'undici';
import { startApart } from './apart.ts';
import { bareOf, cases } from './guard/cases.ts';
import { type Bar, measure, type RoundBar, save } from './measure.ts';
import { spread } from './spread.ts';

const words = process.argv.slice(2);
const short = words.includes('short');
const wanted = words.filter((word) => word !== 'short');
const CONNECTIONS = 32;
const headers = {
  accept: 'application/json',
  'user-agent': 'bench',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00',
  'x-request-timeout-ms': '5000',
  'x-request-criticality': 'critical',
};

const names = Object.keys(cases).filter((name) => wanted.length === 0 || wanted.includes(bareOf(name)));
const running = [];
for (const name of names) {
  const server = await startApart<string>('guard/server.ts', name);
  const pool = new Pool(server.ready, { connections: CONNECTIONS });
  const call = async (): Promise<void> => {
    const { statusCode, body } = await pool.request({ method: 'GET', path: '/charges/42', headers });
    await body.dump();
    if (statusCode !== 200) throw new Error(`${name}: ${statusCode}`);
  };
  // What V8 has not compiled yet would be measured otherwise: it takes some ten thousand requests.
  await spread(20_000, CONNECTIONS, call);
  running.push({ name, run: (n: number) => awake(spread(n, CONNECTIONS, call)), also: [server.pid] });
}

/** Like with like: who sheds with who sheds, who limits with who limits, and with who tells callers as much. */
function kindOf(name: string): string {
  if (/shedding|pressure/.test(name)) return 'sheds';
  return name.endsWith('untold') ? 'limits' : 'limits and tells';
}
const NOTHING = 'hono, a middleware that does nothing';

const bars = names.flatMap((name): (Bar | RoundBar)[] => {
  const bare = bareOf(name);
  // In `app.use` of hono, what its way around any middleware costs is part of it: see the one that does nothing.
  if (name === `${bare}, guard` || name.endsWith('guard in app.use')) {
    return [{ case: name, metric: 'elsewhere', over: bare, max: 3 }];
  }
  if (!name.includes('guard')) return [];
  const peers = names.filter(
    (each) =>
      each !== bare &&
      each !== NOTHING &&
      bareOf(each) === bare &&
      !each.includes('guard') &&
      kindOf(each) === kindOf(name),
  );
  return peers.map((peer) => ({
    says: `${name}, elsewhere`,
    unit: `µs more than ${peer}`,
    max: 0,
    of: (figure: Parameters<RoundBar['of']>[0]) => figure(name, 'elsewhere') - figure(peer, 'elsewhere'),
  }));
});
const rows = await measure({
  name: `${CONNECTIONS} connections, GET of a small JSON, per request; of the server is what is elsewhere`,
  rounds: short ? 21 : 61,
  perRound: short ? 500 : 1_000,
  cases: running,
  bars,
});
if (!short && wanted.length === 0)
  save(
    'guard',
    rows.filter(({ metric }) => metric === 'elsewhere'),
  );
process.exit();

/**
 * Lets this process not sleep before `work` is done. To wake it, which is the kernel's affair, costs the server more than the
 * guard does, and only a server that is slower than its callers would pay for it.
 */
async function awake(work: Promise<void>): Promise<void> {
  let done = false;
  const turn = (): void => {
    if (!done) setImmediate(turn);
  };
  turn();
  await work;
  done = true;
}
