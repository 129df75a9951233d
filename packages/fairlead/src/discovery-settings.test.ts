// Catches: a zone that is set and makes no difference, a queue before discovery without the bound or the end that was set, a
// source that is away and seems to be well.
import { createEndpoint, type FairleadEvent, type Resolver, type ResolverUpdate } from '@fairlead/core';
import { reply, scripted, VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { type ClientInit, createClientOver, type OpenClient } from './client.js';
import { resolveClient } from './settings/index.js';

const open: OpenClient[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
});

function world(options: object, environment: ClientInit['environment'] = false) {
  const clock = new VirtualClock({ seed: 3 });
  const backend = scripted(reply());
  const events: FairleadEvent[] = [];
  let tell: (update: ResolverUpdate) => void = () => {};
  const from: Resolver = { name: 'told', watch: (teller) => void (tell = teller) };
  const on = (event: FairleadEvent): void => void events.push(event);
  const client = createClientOver(backend, { clock, environment, on, services: { a: { from, ...options } } });
  open.push(client);
  const call = (): Promise<string | number> =>
    client.fetch('http://a/').then(
      async (response) => {
        await response.text();
        return response.status;
      },
      ({ cause }) => `${cause.code} ${cause.state}`,
    );
  return { clock, backend, call, tell: (update: ResolverUpdate) => tell(update), about: () => client.describe().a };
}

const inZones = { endpoints: ['z1', 'z2'].map((zone, i) => createEndpoint(`http://10.0.0.${i + 1}`, { zone })) };

describe('zone', () => {
  it.each([
    ['code', { zone: 'z2' }, false],
    ['a variable', {}, { FAIRLEAD_ZONE: 'z2' }],
  ] as const)('by %s keeps calls there', async (_by, options, environment) => {
    const { call, tell, backend } = world(options, environment);
    const first = call();
    tell(inZones);
    expect(await first).toBe(200);
    for (let i = 0; i < 50; i++) await call();
    expect(new Set(backend.calls.map(({ endpoint }) => endpoint?.zone))).toEqual(new Set(['z2']));
  });

  it('makes no difference where nobody says it', async () => {
    const { call, tell, backend } = world({});
    const first = call();
    tell(inZones);
    await first;
    for (let i = 0; i < 50; i++) await call();
    expect(new Set(backend.calls.map(({ endpoint }) => endpoint?.zone)).size).toBe(2);
  });
});

describe('before discovery answers', () => {
  it('so many wait, for so long, and then nobody until it does', async () => {
    const { call, tell, clock, about } = world({ maxWaiting: 2, readyTimeoutMs: 300, attempts: 1 });
    const three = [call(), call(), call()];
    expect(await three[2]).toBe('ERR_NO_ENDPOINT pending');
    expect(about()?.freshness).toBe('pending');
    await clock.advance(299);
    const ended: unknown[] = [];
    for (const each of three.slice(0, 2)) void each.then((got) => ended.push(got));
    await clock.advance(0);
    expect(ended).toEqual([]);
    await clock.advance(2);
    expect(await Promise.all(three.slice(0, 2))).toEqual(['ERR_NO_ENDPOINT pending', 'ERR_NO_ENDPOINT pending']);
    expect(await call()).toBe('ERR_NO_ENDPOINT pending');
    tell(inZones);
    expect([await call(), about()?.freshness]).toEqual([200, 'fresh']);
    tell({ error: new Error('gone') });
    expect([await call(), about()]).toMatchObject([200, { freshness: 'stale', error: 'gone' }]);
  });

  it('it is for as long as the call may take, if nobody is to be refused', async () => {
    const { call, clock } = world({ readyTimeoutMs: false, timeoutMs: 20_000, attemptTimeoutMs: false, attempts: 1 });
    const waiting = call();
    await clock.advance(19_990);
    let over = false;
    void waiting.then(() => (over = true));
    await clock.advance(1);
    expect(over).toBe(false);
    await clock.advance(20);
    expect(await waiting).toBe('ERR_NO_ENDPOINT pending');
  });

  it('is what variables say, too, unless they are nonsense', () => {
    const env = { FAIRLEAD_MAX_WAITING: '5', FAIRLEAD_READY_TIMEOUT: 'off', FAIRLEAD_SERVICE_A_READY_TIMEOUT: '2s' };
    const services = { a: 'http://a', b: 'http://b' };
    const resolved = resolveClient({ services }, env).services;
    expect(resolved.get('a')?.values).toMatchObject({ maxWaiting: 5, readyTimeoutMs: 2_000 });
    expect(resolved.get('b')?.values).toMatchObject({ maxWaiting: 5, readyTimeoutMs: false });
    expect(() => resolveClient({ services }, { FAIRLEAD_MAX_WAITING: '-1', FAIRLEAD_READY_TIMEOUT: 'soon' })).toThrow(
      /FAIRLEAD_MAX_WAITING[\s\S]*FAIRLEAD_READY_TIMEOUT/,
    );
    expect(() => resolveClient({ services, defaults: { zone: '' } }, {})).toThrow(/defaults\.zone/);
  });
});

it('retries and their budget can be put into shadow, shared among processes, and told what to await', () => {
  const env = {
    FAIRLEAD_RETRY_MODE: 'shadow',
    FAIRLEAD_RETRY_WHOLE_REPLY_BYTES: '0',
    FAIRLEAD_BUDGET_PROCESSES: '500',
    FAIRLEAD_BUDGET_MIN_FAILING_PER_SECOND: '0.5',
  };
  const { values } = resolveClient({ services: { a: 'http://a' } }, env).services.get('a') ?? {};
  expect(values?.retry).toMatchObject({ mode: 'shadow', wholeReplyBytes: 0 });
  expect(values?.budget).toMatchObject({ processes: 500, minFailingPerSecond: 0.5 });
  const services = { a: { from: 'http://a', retry: { wholeReplyBytes: 65_537 }, budget: { processes: 0 } } };
  expect(() => resolveClient({ services }, {})).toThrow(/wholeReplyBytes[\s\S]*budget\.processes/);
});
