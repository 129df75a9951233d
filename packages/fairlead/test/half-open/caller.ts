/** @module Clients in a process of their own, told over IPC what to do. Runs as a bundle that `network.ts` makes. */
import { countResources } from '@fairlead/testing';
import { type Client, type ClientInit, createClient } from 'fairlead';

const noResources = countResources();
const clients: { client: Client; attempts: number }[] = [];

/** A service whose endpoints are given, and its options. */
export type Service = NonNullable<ClientInit['defaults']> & { readonly from: readonly string[] };

/** How a call ended; errors do not survive the way between processes. */
export interface Ended {
  readonly status?: number;
  readonly text?: string;
  readonly ms: number;
  /** What fetch says. */
  readonly message?: string;
  readonly cause?: Readonly<Record<'code' | 'of' | 'phase' | 'sent' | 'message', string | undefined>>;
}

const wishes = {
  open(service: Service): number {
    const each = { client: null as never as Client, attempts: 0 };
    each.client = createClient({
      environment: false,
      services: { svc: service },
      on: ({ type }) => {
        if (type === 'attempt.ended' || type === 'attempt.failed') each.attempts++;
      },
    });
    return clients.push(each) - 1;
  },

  async get(n: number, path: string, init: { method?: string; bodyBytes?: number }): Promise<Ended> {
    const at = performance.now();
    const { bodyBytes, ...rest } = init;
    const body = bodyBytes === undefined ? undefined : Buffer.alloc(bodyBytes);
    try {
      const reply = await clientAt(n).client.fetch(`http://svc${path}`, { ...rest, body } as RequestInit);
      const { status } = reply;
      return { status, text: await reply.text(), ms: performance.now() - at };
    } catch (error) {
      const { message, cause } = error as Error & { cause: NonNullable<Ended['cause']> };
      const { code, of, phase, sent } = cause;
      return { message, cause: { code, of, phase, sent, message: cause.message }, ms: performance.now() - at };
    }
  },

  /** Attempts so far, and what is in flight at each endpoint. */
  seen(n: number): { attempts: number; inFlight: number[] } {
    const { client, attempts } = clientAt(n);
    return {
      attempts,
      inFlight: Object.values(client.describe()).flatMap(({ endpoints }) => endpoints.map((each) => each.inFlight)),
    };
  },

  /** Closes it, and says how long that took, in ms. */
  async close(n: number): Promise<number> {
    const at = performance.now();
    await clientAt(n).client.close();
    return performance.now() - at;
  },

  /** Waits until there is no more of any socket or timer than at the beginning. */
  settled: () => noResources.check(2_000),
};

export type Wishes = typeof wishes;

function clientAt(n: number): (typeof clients)[number] {
  const each = clients[n];
  if (each === undefined) throw new Error(`there is no client ${n}`);
  return each;
}

process.on('message', async ({ id, wish, args }: { id: number; wish: keyof Wishes; args: unknown[] }) => {
  try {
    const value = await (wishes[wish] as (...args: unknown[]) => unknown)(...args);
    process.send?.({ id, value });
  } catch (error) {
    process.send?.({ id, error: (error as Error).stack });
  }
});
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });
