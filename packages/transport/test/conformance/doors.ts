/** @module The two ways to fetch that are compared, each with servers of its own. */
import { createEndpoint, systemClock } from '@fairlead/core';
import { createDoor } from '../../src/door/index.js';
import { createFetch } from '../../src/fetch/fetch.js';
import { createTransport } from '../../src/transport.js';
import { nextTurn, until } from '../servers.js';
import { type Exchange, type Origin, startOrigin } from './origin.js';

/** Whatever fetch takes, right or wrong. */
// biome-ignore lint/suspicious/noExplicitAny: subjects give what no type allows
export type AnyFetch = (input: any, init?: any) => Promise<Response>;

/** One way to fetch, with the servers behind it. */
export interface Door {
  readonly fetch: AnyFetch;
  /** Where the first server is, as the caller names it. */
  readonly origin: string;
  /** Where the second is: another origin. */
  readonly other: string;
  /** The address of the first server. */
  readonly address: string;
  /** The first server where TLS is expected of it, of which it knows nothing: connecting never ends. */
  readonly hung: string;
  readonly a: Origin;
  readonly b: Origin;
  /** Resolves when what the servers have sent has arrived. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** How the servers of a subject answer. */
export interface Servers {
  /** Answers a request; default: 200 with `ok`. */
  readonly answer?: ((exchange: Exchange, door: Door) => void) | undefined;
  /** Answer as soon as the head of a request is there. */
  readonly atHead?: boolean | undefined;
}

const ok = (exchange: Exchange): void => exchange.reply(200, {}, 'ok');

async function someTurns(): Promise<void> {
  for (let turns = 0; turns < 50; turns++) await nextTurn();
}

async function startServers({ answer = ok, atHead = false }: Servers, door: () => Door): Promise<[Origin, Origin]> {
  const serve = (exchange: Exchange): void => answer(exchange, door());
  return [await startOrigin('A', serve, atHead), await startOrigin('B', serve, atHead)];
}

/** Node's own fetch. */
export async function builtIn(servers: Servers): Promise<Door> {
  const [a, b] = await startServers(servers, () => door);
  const door: Door = {
    fetch: (input, init) => fetch(input, init),
    origin: `http://127.0.0.1:${a.port}`,
    other: `http://127.0.0.1:${b.port}`,
    address: `127.0.0.1:${a.port}`,
    hung: `https://127.0.0.1:${a.port}`,
    a,
    b,
    quiet: someTurns,
    close: async () => void (await Promise.all([a.close(), b.close()])),
  };
  return door;
}

/** Ours: `payments` and `ledger`, one endpoint each. They are known by their addresses too. */
export async function fairlead(servers: Servers): Promise<Door> {
  const [a, b] = await startServers(servers, () => door);
  // Soon, since some subjects wait for a connection to be closed that is kept in case the rest of a body comes.
  const transport = createTransport({ dropBodyMs: 50 });
  const runtime = { clock: systemClock };
  const routeTo = (service: string, port: number, scheme = 'http') => {
    const endpoint = createEndpoint(`${scheme}://127.0.0.1:${port}`);
    return { service, runtime, handler: (call: never) => transport.handler((call as Sendable).with({ endpoint })) };
  };
  const routes = new Map([
    ['payments', routeTo('payments', a.port)],
    ['ledger', routeTo('ledger', b.port)],
    ['hung', routeTo('hung', a.port, 'https')],
    [`127.0.0.1:${a.port}`, routeTo('payments', a.port)],
  ]);
  const route = (host: string): never => (routes.get(host) ?? null) as never;
  const dispatcher = createDoor({ route, fallback: null });
  const exotic: typeof fetch = (input, init) => fetch(input, { ...init, dispatcher } as never);
  const lead = createFetch({ route, external: fetch, exotic });
  const door: Door = {
    fetch: lead as AnyFetch,
    origin: 'http://payments',
    other: 'http://ledger',
    address: `127.0.0.1:${a.port}`,
    hung: 'https://hung',
    a,
    b,
    quiet: async () => {
      await until(() => transport.stats().origins.every(({ inFlight }) => inFlight === 0));
      await someTurns();
    },
    close: async () => {
      await transport.close(0);
      await Promise.all([a.close(), b.close()]);
    },
  };
  return door;
}

interface Sendable {
  with(changes: object): never;
}
