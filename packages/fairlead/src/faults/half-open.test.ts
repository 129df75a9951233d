// Catches: connections of which one side has heard for the last time, without a FIN and without a RST (a cable pulled, a
// host or a NAT gone), on which a call waits longer than it may, is not tried elsewhere, or is sent again although it must
// not be; which are used again and again; which keep a client from closing, or a socket or a timer for good. In network
// namespaces of their own, since only there packets can be lost. Time is real there: what is early is always wrong, how
// late is too late depends on the machine.
import { systemClock } from '@fairlead/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Service } from '../../test/half-open/caller.js';
import { missing, Network } from '../../test/half-open/network.js';

const reason = missing();
// Skipped aloud: what has not run must not look like a passed test.
if (reason !== null) {
  console.warn(`faults/half-open.test.ts: skipped, no network namespaces here (root, unshare, iproute2): ${reason}`);
}

const LATE_MS = 400;
const MS = 100;
const late = { message: 'fetch failed', cause: { code: 'ERR_TIMEOUT', of: 'attempt', sent: 'maybe' } };

/** Each test has a cable of its own to pull; the first is for all of them, and holds. */
let net: Network;
let cables = 0;
beforeAll(async () => {
  if (reason === null) net = await Network.make(20);
});
afterAll(() => net?.end());

describe.skipIf(reason !== null).each([
  ['HTTP/1', false],
  ['HTTP/2', true],
])('without a word, over %s,', (_, http2) => {
  let cable = 0;
  let dead: string;
  let well: string;
  const transport = { http2, closeMs: 100 };
  // One policy at a time: what an endpoint is thought of is looked at where that is the subject.
  const options: Omit<Service, 'from'> = {
    transport,
    attemptTimeoutMs: MS,
    timeoutMs: 3 * MS,
    health: false,
    breaker: false,
    budget: false,
  };
  const retry = { baseMs: 1, maxMs: 1 } as const;

  const cut = (): Promise<void> => net.cut(cable);
  beforeEach(() => {
    well = net.origin(0, http2);
    cable = ++cables;
    dead = net.origin(cable, http2);
  });
  // Also: closing does not wait for those who will not be heard of, and nothing is left of the connections to them.
  afterEach(async () => expect(await net.clear()).toBeLessThan(100 + LATE_MS));

  it('a SYN is not answered: the connection is not made in time, nothing was sent, and even a POST goes elsewhere', async () => {
    await cut();
    const connecting: typeof options = {
      ...options,
      transport: { ...transport, connectTimeoutMs: MS },
      attemptTimeoutMs: 5 * MS,
      timeoutMs: 10 * MS,
      retry,
    };
    const alone = await net.client({ from: [dead], ...connecting, attempts: 1 });
    const got = await alone.get('/');
    expect(got).toMatchObject({ cause: { code: 'ERR_TRANSPORT', phase: 'connect', sent: 'no' } });
    expect(got.cause?.message).toContain('UND_ERR_CONNECT_TIMEOUT');
    expect(got.ms).toBeGreaterThan(MS - 1);
    expect(got.ms).toBeLessThan(MS + LATE_MS);
    const both = await net.client({ from: [dead, well], ...connecting, picker: 'roundRobin' });
    const all = await Promise.all(Array.from({ length: 10 }, () => both.get('/', { method: 'POST', bodyBytes: 10 })));
    for (const each of all) expect(each).toMatchObject({ status: 200, text: 'ok' });
    expect(await both.seen()).toEqual({ attempts: 15, inFlight: [0, 0] });
  });

  it('a connection is being made when the time of the attempt, or of the call, is up', async () => {
    await cut();
    const attempt = await net.client({ from: [dead], ...options, attempts: 1 });
    const call = await net.client({ from: [dead], ...options, attemptTimeoutMs: false, timeoutMs: MS });
    const [one, other] = await Promise.all([attempt.get('/'), call.get('/')]);
    expect(one).toMatchObject({ cause: { code: 'ERR_TIMEOUT', of: 'attempt', sent: 'no' } });
    expect(other).toMatchObject({ cause: { code: 'ERR_TIMEOUT', of: 'call' } });
    for (const { ms } of [one, other]) {
      expect(ms).toBeGreaterThan(MS - 1);
      expect(ms).toBeLessThan(MS + LATE_MS);
    }
    expect(await attempt.seen()).toEqual({ attempts: 1, inFlight: [0] });
  });

  it('an idle connection has died: a GET goes elsewhere, a POST may have been sent', async () => {
    const alone = await net.client({ from: [dead], ...options });
    const both = await net.client({ from: [dead, well], ...options, retry, picker: 'roundRobin' });
    expect(await alone.get('/')).toMatchObject({ status: 200 });
    for (let i = 0; i < 2; i++) expect(await both.get('/')).toMatchObject({ status: 200 });
    await cut();
    const got = await Promise.all([alone.get('/', { method: 'POST' }), ...[0, 1, 2, 3].map(() => both.get('/'))]);
    expect(got[0]).toMatchObject(late);
    for (const { ms, status } of got.slice(1)) {
      expect(status).toBe(200);
      expect(ms).toBeLessThan(MS + LATE_MS);
    }
    expect((await alone.seen()).attempts).toBe(2);
    expect(await both.seen()).toEqual({ attempts: 8, inFlight: [0, 0] });
  });

  it('the cable is pulled after the request has arrived: the answer that is sent never comes', async () => {
    const alone = await net.client({ from: [dead], ...options });
    const waiting = alone.get('/held', { method: 'POST' });
    await net.arrived('/held');
    await cut();
    net.answer();
    const got = await waiting;
    expect(got).toMatchObject(late);
    expect(got.ms).toBeLessThan(MS + LATE_MS);
    expect(await alone.seen()).toEqual({ attempts: 1, inFlight: [0] });
  });

  it('the cable is pulled in the middle of a body: whoever reads it is told when the time of the call is up', async () => {
    const client = await net.client({ from: [dead], ...options });
    // A small one is awaited whole, for a second at most, in case that it breaks; this one does not.
    const halves = [client.get('/half/100'), client.get('/half/100000')];
    await Promise.all([net.arrived('/half/100'), net.arrived('/half/100000')]);
    await cut();
    for (const { message, cause, ms } of await Promise.all(halves)) {
      expect(message).toBe('terminated');
      expect(cause).toMatchObject({ code: 'ERR_TIMEOUT', of: 'call', sent: 'maybe' });
      expect(ms).toBeGreaterThan(3 * MS - 1);
      expect(ms).toBeLessThan(3 * MS + LATE_MS);
    }
    expect(await client.seen()).toEqual({ attempts: 2, inFlight: [0] });
  });

  it('the cable is pulled under an upload that nobody reads', async () => {
    const client = await net.client({ from: [dead], ...options, attempts: 1 });
    const waiting = client.get('/deaf', { method: 'PUT', bodyBytes: 20_000_000 });
    await net.arrived('/deaf');
    await cut();
    const got = await waiting;
    expect(got).toMatchObject(late);
    expect(got.ms).toBeLessThan(MS + LATE_MS);
  });

  it('a client is closed over calls without any limit of time: it waits for its grace, and cuts them', async () => {
    const patient = { ...options, attemptTimeoutMs: false, timeoutMs: false, attempts: 1 } as const;
    const client = await net.client({ from: [dead], ...patient });
    expect(await client.get('/')).toMatchObject({ status: 200 });
    const held = [client.get('/held'), client.get('/half/100000')];
    await Promise.all([net.arrived('/held'), net.arrived('/half/100000')]);
    await cut();
    held.push(client.get('/'));
    expect(await client.close()).toBeLessThan(100 + LATE_MS);
    for (const { cause } of await Promise.all(held)) expect(cause).toMatchObject({ code: 'ERR_TRANSPORT' });
  });

  it('an endpoint comes back: calls find it again by themselves', async () => {
    const health = { baseEjectMs: 20, maxEjectMs: 20 };
    const client = await net.client({ from: [dead], ...options, health, attempts: 1 });
    expect(await client.get('/')).toMatchObject({ status: 200 });
    await cut();
    expect(await client.get('/')).toMatchObject(late);
    await net.mend(cable);
    let got = await client.get('/');
    // Over HTTP/2 the same connection goes on as soon as TCP sends again what was lost.
    for (const end = systemClock.now() + 2_000; got.status !== 200 && systemClock.now() < end; )
      got = await client.get('/');
    expect(got).toMatchObject({ status: 200, text: 'ok' });
  });

  it('a connection is forgotten by what stands in the way: calls leave it for a new one within little more than a second', async () => {
    const client = await net.client({ from: [dead], ...options, attemptTimeoutMs: 300, timeoutMs: 500, attempts: 1 });
    expect(await client.get('/')).toMatchObject({ status: 200 });
    await net.forget(cable);
    const at = systemClock.now();
    let got = await client.get('/');
    expect(got).toMatchObject(late);
    while (got.status !== 200 && systemClock.now() - at < 3_000) got = await client.get('/');
    expect(got).toMatchObject({ status: 200, text: 'ok' });
    expect(systemClock.now() - at).toBeLessThan(1_200 + LATE_MS);
    expect((await client.seen()).inFlight).toEqual([0]);
  });
});
