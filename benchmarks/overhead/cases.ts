/** @module Who is measured: the floor, ourselves, and what teams use today, each with its usual resilience on. */
import http from 'node:http';
import axios from 'axios';
import Bottleneck from 'bottleneck';
import {
  bulkhead,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel';
import { createClient } from 'fairlead';
import got from 'got';
import CircuitBreaker from 'opossum';
import pRetry from 'p-retry';
import { Pool } from 'undici';

export interface Case {
  readonly name: string;
  /** Calls of one block relative to the others: slow peers get fewer, or a run would take all day. */
  readonly share: number;
  /** Gets ready; one call must read the whole JSON. */
  open(origins: readonly string[], connections: number): Promise<{ call(): Promise<unknown>; close(): Promise<void> }>;
}

const path = '/charges/42';

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
  {
    name: 'axios',
    share: 0.25,
    async open([origin], connections) {
      const httpAgent = new http.Agent({ keepAlive: true, maxSockets: connections });
      const client = axios.create({ baseURL: origin as string, httpAgent, timeout: 2_000 });
      return {
        call: async () => (await client.get(path)).data,
        close: async () => httpAgent.destroy(),
      };
    },
  },
  {
    name: 'got',
    share: 0.25,
    async open([origin], connections) {
      const agent = { http: new http.Agent({ keepAlive: true, maxSockets: connections }) };
      const client = got.extend({
        prefixUrl: origin as string,
        agent,
        retry: { limit: 2 },
        timeout: { request: 2_000 },
      });
      return {
        call: () => client.get(path.slice(1)).json(),
        close: async () => agent.http.destroy(),
      };
    },
  },
  {
    name: 'cockatiel around undici',
    share: 1,
    async open([origin], connections) {
      const pool = new Pool(origin as string, { connections });
      const policy = wrap(
        retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() }),
        circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker: new ConsecutiveBreaker(5) }),
        bulkhead(256),
        timeout(2_000, TimeoutStrategy.Cooperative),
      );
      return {
        call: () =>
          policy.execute(async ({ signal }) => (await pool.request({ path, method: 'GET', signal })).body.json()),
        close: () => pool.close(),
      };
    },
  },
  {
    name: 'opossum, p-retry and bottleneck around fetch',
    share: 0.02,
    async open([origin]) {
      const url = origin + path;
      const breaker = new CircuitBreaker(
        async () => {
          const reply = await fetch(url);
          if (reply.status >= 500) throw new Error(`status ${reply.status}`);
          return reply.json();
        },
        { timeout: 2_000, volumeThreshold: 20 },
      );
      const limiter = new Bottleneck({ maxConcurrent: 256 });
      return {
        call: () => limiter.schedule(() => pRetry(() => breaker.fire(), { retries: 2 })),
        close: async () => breaker.shutdown(),
      };
    },
  },
];

/** The default stack with every policy on that a caller can turn on, spread over `endpoints` endpoints. */
function fairlead(name: string, endpoints: number): Case {
  return {
    name,
    share: 1,
    async open(origins, connections) {
      const client = createClient({
        environment: false,
        newTraces: 'unsampled',
        services: {
          payments: {
            from: origins.slice(0, endpoints),
            cost: 'latency',
            transport: { connections },
            limit: { perSecond: 10_000_000, burst: 1_000_000 },
          },
        },
      });
      return {
        call: async () => (await client.fetch(`http://payments${path}`)).json(),
        close: () => client.close(),
      };
    },
  };
}
