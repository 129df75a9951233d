// Catches: calls that fail because the server that is asked for endpoints hangs, resets, sends bytes one by one, or far too
// many, or nonsense; a connection to it that outlives its client.
import type { ServerResponse } from 'node:http';
import { httpSd } from '@fairlead/balance';
import { sleep, systemClock } from '@fairlead/core';
import { createTransport } from '@fairlead/transport';
import { describe, expect, it } from 'vitest';
import { attempts, get, load, type Site, tally, until, worlds } from '../../test/world.js';

const world = worlds();

type Behavior = (response: ServerResponse, tagged: boolean) => unknown;

/** A server of target groups that behaves as it is told. */
async function directory(): Promise<{ readonly site: Site; behave: Behavior; asked: (string | undefined)[] }> {
  const served = { behave: (() => {}) as Behavior, asked: [] as (string | undefined)[] };
  const site = await world.http((request, response) => {
    served.asked.push(request.headers['x-prometheus-refresh-interval-seconds'] as string | undefined);
    served.behave(response, request.headers['if-none-match'] !== undefined);
  });
  return Object.assign(served, { site });
}

const json = { 'content-type': 'application/json; charset=utf-8' };
const naming =
  (...sites: readonly Site[]): Behavior =>
  (response) => {
    const targets = sites.map(({ origin }) => new URL(origin).host);
    response.writeHead(200, json).end(JSON.stringify([{ targets, labels: { job: 'svc' } }]));
  };

describe('a service from http_sd', () => {
  it.each<[string, Behavior, RegExp]>([
    ['hangs', () => {}, /no answer from this attempt within 150 ms/],
    ['resets the connection', (response) => response.socket?.resetAndDestroy(), /ECONNRESET|other side closed/],
    [
      'sends byte by byte',
      async (response) => {
        response.writeHead(200, json);
        while (!response.destroyed) {
          response.write(' ');
          await sleep(systemClock, 5);
        }
      },
      /no answer from this attempt within 150 ms/,
    ],
    [
      'sends without end',
      (response) => {
        response
          .writeHead(200, json)
          .on('drain', () => more())
          .on('error', () => {});
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, ' ')));
        };
        more();
      },
      /longer than 100000 bytes/,
    ],
    [
      'cuts the answer off',
      (response) => {
        response.writeHead(200, { ...json, 'content-length': '500' }).write('[]');
        void sleep(systemClock, 5).then(() => response.destroy());
      },
      /body failed/,
    ],
    ['answers with a page', (response) => response.end('<html>'), /content type/],
    ['is broken', (response) => response.writeHead(503).end('away'), /the answer is 503: away/],
  ])('keeps its endpoints, and loses no call, while the server %s', async (_, behave, expected) => {
    const served = await directory();
    const [one, two] = [
      await world.http((_request, response) => void response.end('1')),
      await world.http((_request, response) => void response.end('2')),
    ];
    served.behave = naming(one);
    const transport = createTransport();
    const times = { refreshMs: 20, timeoutMs: 150, minBackoffMs: 5, maxBackoffMs: 20 };
    const from = httpSd({ url: `${served.site.origin}/all`, handler: transport.handler, maxBytes: 100_000, ...times });
    const client = world.client({ services: { svc: { from } } });
    const got = await load(client.fetch, 50);
    served.behave = behave;
    const trouble = (): string => client.describe().svc?.error ?? '';
    await until(() => expected.test(trouble()), `${expected}, but ${trouble()}`);
    got.push(...(await load(client.fetch, 200)));
    expect(one.requests).toBe(250);
    served.behave = naming(two);
    await until(() => client.describe().svc?.endpoints[0]?.origin === two.origin, 'the other endpoint');
    expect(client.describe().svc?.error).toBe(null);
    got.push(...(await load(client.fetch, 50)));
    expect(tally(got)).toEqual({ 200: 300 });
    expect([attempts(client), two.requests]).toEqual([300, 50]);
    await client.close();
    await transport.close();
  });

  it('is written as a source; its client lets go of the server, also in the middle of an answer', async () => {
    const served = await directory();
    const site = await world.http((_request, response) => void response.end('ok'));
    served.behave = naming(site);
    const source = `http-sd+${served.site.origin}/all#svc`;
    const client = world.client({ services: { svc: source } });
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
    expect(client.describe().svc).toMatchObject({ source, state: 'ready', error: null });
    expect(served.asked).toEqual(['30']);

    served.behave = (response) => response.writeHead(200, json).write('[');
    const waiting = world.client({ services: { svc: source } });
    const call = get(waiting.fetch);
    await until(() => served.asked.length === 2, 'a question');
    await waiting.close();
    expect(await call).toHaveProperty('error');
    await client.close();
    await until(() => served.site.sockets.size === 0, 'connections closed');
  });

  it('knows nobody if its own service is not among those of the answer, and says who is', async () => {
    const served = await directory();
    served.behave = naming(served.site);
    const client = world.client({
      services: { svc: { from: `http-sd+${served.site.origin}/all#scv`, retry: { baseMs: 1 } } },
    });
    expect(await get(client.fetch)).toMatchObject({ error: { cause: { code: 'ERR_NO_ENDPOINT', state: 'failed' } } });
    expect(client.describe().svc?.error).toMatch(/there are: svc; did you mean svc\?/);
  });
});
