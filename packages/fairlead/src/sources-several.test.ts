// Catches: a client that starts while its source is down and cannot serve although it has a memory, calls that are lost
// when a cluster goes and do not come back with it, and sources that mean something else in a variable than in code.
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { consul } from '@fairlead/balance';
import { createEndpoint, type Resolver } from '@fairlead/core';
import { createTransport } from '@fairlead/transport';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { get, load, type Site, tally, until, worlds } from '../test/world.js';

const world = worlds();
const site = (): Promise<Site> => world.http((_request, response) => void response.end('ok'));

describe('a source with a memory', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'memory-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('lets a process that starts while the source is down serve at once', async () => {
    const one = await site();
    let up = true;
    const registry = await world.http((request, response) => {
      if (!up) request.socket.destroy();
      else if (!request.url?.includes('index=')) {
        const port = Number(new URL(one.origin).port);
        response.setHeader('x-consul-index', 7);
        response.end(JSON.stringify([{ Node: { Address: '127.0.0.1' }, Service: { Port: port } }]));
      }
    });
    const transport = createTransport();
    const access = {
      server: createEndpoint(registry.origin),
      tls: null,
      namespace: null,
      partition: null,
      token: () => null,
    };
    const from = (): Resolver => consul({ service: 'svc', access, handler: transport.handler });
    const before = world.client({ services: { svc: { from: from(), discoveryCache: folder } } });
    expect(tally(await load(before.fetch, 20))).toEqual({ 200: 20 });
    while ((await readdir(folder)).join() !== 'svc.json') await load(before.fetch, 1);
    await before.close();

    up = false;
    const after = world.client({ services: { svc: { from: from(), discoveryCache: folder } } });
    expect(tally(await load(after.fetch, 100))).toEqual({ 200: 100 });
    expect(after.describe().svc).toMatchObject({
      state: 'ready',
      remembered: true,
      endpoints: [{ origin: one.origin }],
    });
    await until(() => after.describe().svc?.error !== null, 'the error of the source');
    up = true;
    await until(() => after.describe().svc?.error === null, 'an answer of the source');
    expect(after.describe().svc?.remembered).toBe(false);
    await after.close();
    await transport.close(0);
  });
});

describe('a | b', () => {
  it('sends calls to the second while the first is down, and back when it is up, and loses none', async () => {
    const [near, far] = [await site(), await site()];
    let up = true;
    const flaky = await world.http((_request, response) => {
      if (up) response.end('ok');
      else response.socket?.destroy();
    });
    const from = `${flaky.origin} | ${far.origin},${near.origin}`;
    const health = { consecutiveFailures: 2, baseEjectMs: 50 };
    const client = world.client({
      environment: { FAIRLEAD_SERVICE_SVC: from },
      services: { svc: { health, retry: { baseMs: 1 } } },
    });
    expect(client.describe().svc?.source).toBe(from);
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
    expect([flaky.requests, far.requests + near.requests]).toEqual([50, 0]);
    up = false;
    expect(tally(await load(client.fetch, 200))).toEqual({ 200: 200 });
    expect(far.requests).toBeGreaterThan(10);
    expect(near.requests).toBeGreaterThan(10);
    up = true;
    const back = (): boolean => client.describe().svc?.endpoints[0]?.health === 'healthy';
    while (!back()) expect(await get(client.fetch)).toMatchObject({ status: 200 });
    const [before, away] = [flaky.requests, far.requests + near.requests];
    expect(tally(await load(client.fetch, 50))).toEqual({ 200: 50 });
    expect([flaky.requests - before, far.requests + near.requests - away]).toEqual([50, 0]);
  });
});
