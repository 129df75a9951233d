// Catches: a hedge that is a setting and does nothing, that is sent to the endpoint which is slow, whose loser goes on being
// served, or that is paid from nothing; calls that must not be sent twice and are.
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { worlds } from '../test/world.js';

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
    const { client, types, asked, given } = await slowAndQuick({ hedge: { delayMs: 20, ratio: 1 } });
    // Which of them the first call goes to is chance.
    while (asked() === 0) expect(await (await client.fetch('http://svc/')).text()).toBe('quick');
    await given;
    expect([asked(), types()]).toEqual([1, ['hedge.sent', 'hedge.won']]);
    expect(client.describe().svc?.layers).toEqual(expect.arrayContaining(['retry', 'hedge', 'attemptTimeout']));
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
