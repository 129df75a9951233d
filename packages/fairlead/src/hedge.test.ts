// Catches: a hedge that is a setting and does nothing, that is sent to the endpoint which is slow, whose loser goes on being
// served, or that is paid from nothing; calls that must not be sent twice and are.
import { once } from 'node:events';
import { fixed } from '@fairlead/balance';
import { createEndpoint } from '@fairlead/core';
import { hedge } from '@fairlead/policies';
import { describe, expect, it } from 'vitest';
import { until, worlds } from '../test/world.js';

const world = worlds();

async function slowAndQuick(options: object) {
  let asked = 0;
  const given = Promise.withResolvers<void>();
  const slow = await world.http((_request, response) => {
    asked++;
    void once(response, 'close').then(() => given.resolve());
  });
  const quick = await world.http((_request, response) => void response.end('quick'));
  const client = world.client({
    services: { svc: { from: [slow.origin, quick.origin], picker: 'roundRobin', attempts: 1, ...options } },
  });
  const types = (): string[] => client.events.map(({ type }) => type).filter((type) => type.startsWith('hedge.'));
  return { client, types, asked: () => asked, given: given.promise };
}

describe('hedge', () => {
  it('asks the other endpoint when the first is silent, and gives the first up on the wire', async () => {
    const { client, types, asked, given } = await slowAndQuick({ hedge: { delayMs: 150, ratio: 1, attempts: 2 } });
    // Which of them the first call goes to is chance.
    while (asked() === 0) expect(await (await client.fetch('http://svc/')).text()).toBe('quick');
    await given;
    expect([asked(), types()]).toEqual([1, ['hedge.sent', 'hedge.won']]);
    expect(client.describe().svc?.layers).toEqual(expect.arrayContaining(['retry', 'hedge', 'attemptTimeout']));
  });

  it('asks a third one, each in another zone, and all that lose hear of it on the wire', async () => {
    const asked: [path: string, zone: string][] = [];
    let given = 0;
    let silent = false;
    const site = async (zone: string) => {
      const { origin } = await world.http((request, response) => {
        if (!silent) return void response.end('quick');
        asked.push([request.url as string, zone]);
        if (zone === 'c') response.end('quick');
        else response.once('close', () => given++);
      });
      return createEndpoint(origin, { zone });
    };
    const from = fixed(await Promise.all(['a', 'a', 'a', 'b', 'b', 'c'].map(site)));
    const client = world.client({
      // A layer of one's own, which goes on however few of its hedges win.
      services: {
        svc: { from, attempts: 1, layers: { call: [hedge({ delayMs: 50, ratio: 1, minWinRatio: 0 })] } },
      },
    });
    // There is one hedge for each call, and a third attempt is its second one.
    for (let i = 0; i < 50; i++) await (await client.fetch('http://svc/')).text();
    silent = true;
    let third = 0;
    for (let i = 0; third < 2; i++) {
      expect(await (await client.fetch(`http://svc/${i}`)).text()).toBe('quick');
      const zones = asked.filter(([path]) => path === `/${i}`).map(([, zone]) => zone);
      expect(zones).toEqual([...new Set(zones)]);
      expect(zones.at(-1)).toBe('c');
      if (zones.length === 3) third++;
    }
    await until(() => given === asked.filter(([, zone]) => zone !== 'c').length, 'losers given up');
    // An endpoint that only lost is neither ill nor slow for good.
    expect(client.describe().svc?.endpoints.map(({ health }) => health)).toEqual(Array(6).fill('healthy'));
    expect(client.events.some(({ type }) => type === 'endpoint.ejected')).toBe(false);
  });

  it('sends what is not idempotent once', async () => {
    const { client, types } = await slowAndQuick({ hedge: { delayMs: 20, ratio: 1 }, attemptTimeoutMs: 200 });
    const ends = await Promise.allSettled([1, 2].map(() => client.fetch('http://svc/', { method: 'POST', body: 'x' })));
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(types()).toEqual([]);
  });

  it('is off unless it is asked for', async () => {
    const { client } = await slowAndQuick({});
    expect(client.describe().svc?.layers).not.toContain('hedge');
    expect(client.describe().svc?.layers).not.toContain('throttle');
  });
});
