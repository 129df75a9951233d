/**
 * @module What teams use today, each with the resilience it brings, or that is usually put around it, switched on. All ask
 * the same server for the same JSON, but for gRPC, which can only speak to a server of its own.
 */
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
import got from 'got';
import CircuitBreaker from 'opossum';
import pRetry from 'p-retry';
import { Agent, Pool, RetryAgent, fetch as undiciFetch } from 'undici';
import { type Case, path } from '../overhead/cases.ts';
import { grpcRoundRobin } from './grpc.ts';
import { installed } from './installed.ts';

/** What is used of ky. */
interface Ky {
  create(options: object): { get(url: string): { json(): Promise<unknown> } };
}

export const peers: readonly Case[] = [
  {
    name: 'built-in fetch, AbortSignal.timeout',
    share: 0.25,
    async open([origin]) {
      const url = origin + path;
      return {
        call: async () => (await fetch(url, { signal: AbortSignal.timeout(2_000) })).json(),
        close: async () => {},
      };
    },
  },
  {
    name: 'undici fetch, AbortSignal.timeout',
    share: 0.25,
    async open([origin], connections) {
      const url = origin + path;
      const dispatcher = new Agent({ connections });
      return {
        call: async () => (await undiciFetch(url, { dispatcher, signal: AbortSignal.timeout(2_000) })).json(),
        close: () => dispatcher.close(),
      };
    },
  },
  {
    name: 'undici RetryAgent',
    share: 0.5,
    async open([origin], connections) {
      const agent = new Agent({ connections, headersTimeout: 2_000, bodyTimeout: 2_000 });
      const retrying = new RetryAgent(agent, { maxRetries: 2 });
      const options = { origin: origin as string, path, method: 'GET' as const };
      return {
        call: async () => (await retrying.request(options)).body.json(),
        close: () => agent.close(),
      };
    },
  },
  {
    name: 'axios, timeout',
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
    name: 'got, 2 retries, timeout',
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
  ...(await ky()),
  {
    name: 'cockatiel around Pool.request',
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
  ...(await grpcRoundRobin()),
];

async function ky(): Promise<Case[]> {
  const module = await installed<{ default: Ky }>('ky');
  if (module === null) return [];
  return [
    {
      name: 'ky, 2 retries, timeout',
      share: 0.25,
      async open([origin]) {
        const client = module.default.create({ retry: 2, timeout: 2_000 });
        const url = origin + path;
        return { call: () => client.get(url).json(), close: async () => {} };
      },
    },
  ];
}
