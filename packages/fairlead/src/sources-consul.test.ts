// Catches: a Consul that answers slowly, in pieces, resets or hangs, and a client that loses endpoints by it, asks as
// somebody else, or keeps connections to it after its end.
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { load, type Site, tally, until, worlds } from '../test/world.js';

const world = worlds();
const payments = (): Promise<Site> => world.http((_request, response) => void response.end('ok'));

afterEach(() => {
  vi.unstubAllEnvs();
});

/** A Consul that holds queries back as long as a test wants. */
async function registry() {
  const held: ServerResponse[] = [];
  const seen: { url: string; token: string | undefined }[] = [];
  let index = 10;
  let body = '[]';
  /** What to do with the next answer instead of sending it. */
  let instead: ((response: ServerResponse, body: string) => void) | null = null;
  const answer = (response: ServerResponse): void => {
    response.setHeader('x-consul-index', index);
    if (instead === null) response.end(body);
    else instead(response, body);
  };
  const site = await world.http((request, response) => {
    const url = request.url ?? '';
    seen.push({ url, token: request.headers['x-consul-token'] as string | undefined });
    if (Number(new URL(url, 'http://a').searchParams.get('index') ?? 0) >= index) held.push(response);
    else answer(response);
  });
  return {
    site,
    seen,
    held,
    instead(way: typeof instead): void {
      instead = way;
    },
    set(...sites: readonly Site[]): void {
      body = JSON.stringify(
        sites.map(({ origin }) => ({
          Node: { Address: '127.0.0.1' },
          Service: { Address: '', Port: Number(new URL(origin).port) },
        })),
      );
      index++;
      for (const response of held.splice(0)) answer(response);
    },
  };
}

describe('consul:// over real sockets', () => {
  it('follows the changes while calls run, and lets go of Consul at the end', async () => {
    const [consul, one, two] = [await registry(), await payments(), await payments()];
    vi.stubEnv('CONSUL_HTTP_TOKEN', 'secret');
    consul.set(one);
    const host = consul.site.origin.replace('http://', '');
    const client = world.client({ services: { svc: `consul://${host}/payments?dc=eu` } });
    const calls = load(client.fetch, 600, 16);
    await until(() => one.requests > 20, 'requests at the first');
    consul.set(two);
    await until(() => two.requests > 20, 'requests at the second');
    expect(tally(await calls)).toEqual({ 200: 600 });
    expect(consul.seen[0]).toEqual({ url: '/v1/health/service/payments?passing=true&dc=eu', token: 'secret' });
    expect(JSON.stringify(client.describe())).not.toContain('secret');
    await until(() => consul.held.length === 1, 'a query that waits');
    await client.close();
    await until(() => consul.site.sockets.size === 0, 'the connections to Consul closed');
  });

  it('loses nobody when answers come byte by byte, are cut in the middle, or never end', async () => {
    const [consul, one, two] = [await registry(), await payments(), await payments()];
    consul.set(one);
    vi.stubEnv('CONSUL_HTTP_ADDR', consul.site.origin);
    const client = world.client({ services: { svc: 'consul://payments' } });
    const origins = (): readonly string[] => client.describe().svc?.endpoints.map(({ origin }) => origin) ?? [];
    expect(tally(await load(client.fetch, 20))).toEqual({ 200: 20 });

    consul.instead((response, body) => {
      response.writeHead(200);
      const bytes = [...body];
      const next = (): void => {
        const byte = bytes.shift();
        if (byte === undefined) response.end();
        else response.write(byte, next);
      };
      next();
    });
    consul.set(one, two);
    await until(() => origins().length === 2, 'two endpoints, byte by byte');

    const failed = (): boolean => client.describe().svc?.error !== null;
    consul.instead((response, body) => {
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.slice(0, 20), () => response.destroy());
    });
    consul.set(one);
    await until(failed, 'an error');
    expect(origins()).toHaveLength(2);
    consul.instead((response) => response.destroy());
    const before = consul.seen.length;
    await until(() => consul.seen.length > before, 'another query');
    expect(origins()).toHaveLength(2);

    consul.instead((response) => {
      response.writeHead(200);
      response.write('[');
    });
    const hanging = consul.seen.length;
    await until(() => consul.seen.length > hanging, 'a query that hangs');
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
    await client.close();
    await until(() => consul.site.sockets.size === 0, 'the connections to Consul closed');
  });

  it('says what is wrong with the source before anything is started', () => {
    expect(() => world.client({ services: { svc: 'consul://payments?dcc=eu' } })).toThrow('did you mean dc?');
    vi.stubEnv('CONSUL_HTTP_ADDR', 'ftp://x');
    expect(() => world.client({ services: { svc: 'consul://payments' } })).toThrow('CONSUL_HTTP_ADDR');
  });
});
