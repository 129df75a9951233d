/** @module Who is measured: the floor, our bare face, ourselves with everything on, and the built-in fetch. */
import { createEndpoint, type Endpoint, type Handler, systemClock } from '@fairlead/core';
import { createFetch, createTransport } from '@fairlead/transport';
import { Pool } from 'undici';
import { everythingOn } from './fairlead.ts';

export interface Case {
  readonly name: string;
  /** Calls of one block relative to the others: slow peers get fewer, or a run would take all day. */
  readonly share: number;
  /** Gets ready; one call must read the whole JSON. */
  open(origins: readonly string[], connections: number): Promise<{ call(): Promise<unknown>; close(): Promise<void> }>;
}

/** What every case asks for. */
export const path = '/charges/42';

export const cases: readonly Case[] = [
  {
    name: 'raw undici dispatch',
    share: 1,
    async open([origin], connections) {
      const pool = new Pool(origin as string, { connections });
      const options = { path, method: 'GET' as const };
      return {
        call: () =>
          new Promise((resolve, reject) => {
            let first: Buffer | null = null;
            let rest: Buffer[] | null = null;
            pool.dispatch(options, {
              onRequestStart() {},
              onResponseStart() {},
              onResponseData(_controller, chunk) {
                if (first === null) first = chunk;
                else (rest ??= [first]).push(chunk);
              },
              onResponseEnd() {
                resolve(JSON.parse((rest === null ? first : Buffer.concat(rest))?.toString() ?? ''));
              },
              onResponseError: (_controller, error) => reject(error),
            });
          }),
        close: () => pool.close(),
      };
    },
  },
  {
    name: 'Pool.request',
    share: 1,
    async open([origin], connections) {
      const pool = new Pool(origin as string, { connections });
      return {
        call: async () => (await pool.request({ path, method: 'GET' })).body.json(),
        close: () => pool.close(),
      };
    },
  },
  {
    // No policies, over the same five endpoints in turns: five sockets that each carry a fifth cost more than one.
    name: 'Fairlead, bare face, 5 endpoints',
    share: 1,
    async open(origins, connections) {
      const transport = createTransport({ connections });
      const endpoints = origins.map((origin) => createEndpoint(origin));
      let turn = 0;
      const handler: Handler = (call) =>
        transport.handler(call.with({ endpoint: endpoints[turn++ % endpoints.length] as Endpoint }));
      const route = { service: 'payments', handler, runtime: { clock: systemClock } };
      const fetch = createFetch({ route: () => route });
      return {
        call: async () => (await fetch(`http://payments${path}`)).json(),
        close: () => transport.close(),
      };
    },
  },
  fairlead('Fairlead, everything on, 5 endpoints', 5),
  fairlead('Fairlead, everything on, 1 endpoint', 1),
  {
    name: 'built-in fetch',
    share: 0.5,
    async open([origin]) {
      const url = origin + path;
      return { call: async () => (await fetch(url)).json(), close: async () => {} };
    },
  },
];

/** The default stack with every policy on that a caller can turn on, spread over `endpoints` endpoints. */
export function fairlead(name: string, endpoints: number): Case {
  return {
    name,
    share: 1,
    async open(origins, connections) {
      const client = everythingOn(origins.slice(0, endpoints), { transport: { connections } });
      return {
        call: async () => (await client.fetch(`http://payments${path}`)).json(),
        close: () => client.close(),
      };
    },
  };
}
