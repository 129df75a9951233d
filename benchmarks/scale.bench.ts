/**
 * @module Whether a request costs the same in front of one endpoint and of ten thousand, alone and among ten thousand others.
 * First the stack by itself, above an end that needs no sockets, as context: how many ns come on top of its few µs when its
 * lists outgrow the caches. Then whole requests over real connections, which have the bar; bare undici with as many pools
 * shows what sockets and queues cost anybody.
 *
 * Ten thousand endpoints have a hundred addresses between them: a process may not open as many files as more would need.
 *
 * `npm run bench -- scale` takes some minutes; `-- scale short` one, and writes no results. `-- scale stack` and
 * `-- scale sockets` do one of the two parts.
 */
import { createEndpoint, fixed } from 'fairlead';
import { Pool } from 'undici';
import { startApart } from './apart.ts';
import { type Case, type Figure, measure, type RoundBar, type Row, save } from './measure.ts';
import { everythingOn } from './overhead/fairlead.ts';
import { bareFace, wholeStack } from './scale/stack.ts';
import { spread } from './spread.ts';

const words = process.argv.slice(2);
const short = words.includes('short');
const part = words.find((word) => word !== 'short') ?? null;
const counts = [1, 100, 10_000];
/** What the others are compared with: batches of calls, nobody waiting for a connection. */
const usual = '1 endpoints, 100 in flight';
const perRound = short ? 10_000 : 20_000;
const FLAT = 1.1;

const cell = (endpoints: number, inFlight: number): string => `${endpoints} endpoints, ${inFlight} in flight`;
const cells = counts.flatMap((inFlight) => counts.map((endpoints) => ({ endpoints, inFlight })));

/** Longer than everything together: idle connections must not end while others are measured. */
const keepAliveMs = 3_600_000;
const { ready: origins } = await startApart<string[]>('canned-server.mjs', '100');
const close: (() => Promise<void>)[] = [];

const rows: Row[] = [];
if (part !== 'sockets') rows.push(...(await measureStack()));
if (part !== 'stack') rows.push(...(await measureSockets()));
await Promise.all(close.map((each) => each()));
if (!short && part === null) save('scale', rows);
process.exit();

function measureStack(): Promise<Row[]> {
  const face = (inFlight: number): string => `fetch face alone, ${inFlight} in flight`;
  return measure({
    name: 'the stack by itself, without sockets; what the fetch face costs is taken off',
    rounds: short ? 3 : 25,
    perRound,
    baseline: cell(1, 1),
    cases: [
      ...counts.map((inFlight) => bareFace(face(inFlight), inFlight)),
      ...cells.map(({ endpoints, inFlight }) =>
        wholeStack(cell(endpoints, inFlight), endpoints, inFlight, face(inFlight)),
      ),
    ],
  });
}

function measureSockets(): Promise<Row[]> {
  return measure({
    name: 'over real connections, bare and with everything on',
    rounds: short ? 3 : 21,
    perRound,
    cases: [...bareCases(), ...fairleadCases()],
    bars: cells
      .map(({ endpoints, inFlight }) => cell(endpoints, inFlight))
      .filter((name) => name !== usual)
      .map(flat),
  });
}

/** How much dearer than usual ours is there, over how much dearer bare undici is there. */
function flat(name: string): RoundBar {
  const grows = (figure: Figure, who: string): number => figure(who + name, 'cpu') / figure(who + usual, 'cpu');
  return {
    says: `${name}, against ${usual}`,
    unit: '× what it is for bare undici',
    max: FLAT,
    of: (figure) => grows(figure, 'Fairlead, ') / grows(figure, 'Pool.request, '),
  };
}

/** One endpoint gets as many connections as a transport opens by default, many get fewer each. */
function connectionsTo(endpoints: number): number {
  return endpoints === 1 ? 128 : 16;
}

/** One at a time takes ten times as long: fewer of those are enough. */
function socketCase(name: string, inFlight: number, call: () => Promise<unknown>): Case {
  const share = inFlight === 1 ? 0.1 : inFlight === 100 ? 0.5 : 1;
  return { name, per: share, run: (n) => spread(n * share, inFlight, call) };
}

function bareCases(): Case[] {
  const request = { path: '/charges/42', method: 'GET' } as const;
  const poolsOf = new Map<number, Pool[]>();
  for (const endpoints of [1, 100]) {
    const settings = {
      connections: connectionsTo(endpoints),
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
    };
    const pools = origins.slice(0, endpoints).map((origin) => new Pool(origin, settings));
    poolsOf.set(endpoints, pools);
    close.push(async () => void (await Promise.all(pools.map((pool) => pool.close()))));
  }
  return cells.map(({ endpoints, inFlight }) => {
    const pools = poolsOf.get(Math.min(endpoints, origins.length)) as Pool[];
    const any = (): Pool => pools[Math.floor(Math.random() * pools.length)] as Pool;
    const call = async (): Promise<unknown> => (await any().request(request)).body.json();
    return socketCase(`Pool.request, ${cell(endpoints, inFlight)}`, inFlight, call);
  });
}

function fairleadCases(): Case[] {
  const fetches = new Map(
    counts.map((endpoints) => {
      const list = Array.from({ length: endpoints }, (_, i) =>
        createEndpoint(origins[i % origins.length] as string, { id: `endpoint-${i}` }),
      );
      const transport = { connections: connectionsTo(endpoints), keepAliveMs };
      const client = everythingOn(fixed(list), { transport });
      close.push(() => client.close());
      return [endpoints, client.fetch];
    }),
  );
  return cells.map(({ endpoints, inFlight }) => {
    const fetch = fetches.get(endpoints) as NonNullable<ReturnType<typeof fetches.get>>;
    const call = async (): Promise<unknown> => (await fetch('http://payments/charges/42')).json();
    return socketCase(`Fairlead, ${cell(endpoints, inFlight)}`, inFlight, call);
  });
}
