// Catches: load that is counted wrongly or never given back, a retry on the same endpoint, a call refused for health
// alone, more than one probe, calls lost while discovery is pending, and work on the path of a success that grew.
import {
  type Call,
  CanceledError,
  compose,
  createEndpoint,
  createReply,
  discard,
  type Endpoint,
  type FairleadEvent,
  type Handler,
  RejectedError,
  type Reply,
  type Resolver,
  type ResolverUpdate,
  type Runtime,
  readText,
  TimeoutError,
  TransportError,
} from '@fairlead/core';
import { callTo, checkLeaks, hang, refuse, reply, reset, type Script, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { balance } from './balance.js';
import { Cluster } from './cluster.js';
import type { HealthOptions } from './endpoint-health.js';
import type { Node } from './node.js';
import { fixed } from './resolvers/fixed.js';
import { roundRobin } from './round-robin.js';

const origins = (count: number): string[] => Array.from({ length: count }, (_, i) => `http://10.0.0.${i + 1}:8080`);

function make(count: number, script: Script, health: Partial<HealthOptions> = {}, picker = roundRobin()) {
  const clock = new VirtualClock({ seed: 5 });
  const events: FairleadEvent[] = [];
  const runtime: Runtime = { clock, on: (event) => events.push(event) };
  const cluster = new Cluster({ service: 'payments', resolver: fixed(origins(count)), runtime, health, idleMs: false });
  const backend = scripted(script);
  const handler = compose([balance({ cluster, picker })], backend);
  const send = (call: Call = callTo('payments', { runtime })) => clock.run(handler(call));
  return { clock, events, runtime, cluster, backend, handler, send };
}

const loads = (cluster: Cluster): number[] => cluster.members.map((node) => node.inFlight);
const nodeAt = (cluster: Cluster, index: number): Node => cluster.members[index] as Node;
const sentTo = (backend: { calls: readonly Call[] }): (string | undefined)[] =>
  backend.calls.map((call) => call.endpoint?.id);

describe('balance', () => {
  it('sends the call to an endpoint and passes the reply through', async () => {
    const { send, backend, cluster, runtime } = make(2, reply(201, { body: 'made' }));
    const call = callTo('payments', { runtime, path: '/charges', method: 'POST' });
    const got = await send(call);
    const sent = backend.calls[0] as Call;
    expect(got.status).toBe(201);
    expect(sent).toMatchObject({ path: '/charges', method: 'POST', endpoint: { id: got.endpoint?.id } });
    expect(call.tried.size).toBe(1);
    expect(call.endpoint).toBeNull();
    expect(loads(cluster).reduce((a, b) => a + b)).toBe(1);
    discard(got);
    expect(loads(cluster)).toEqual([0, 0]);
  });

  it('counts a request until its body has ended, not until its head has come', async () => {
    const { handler, clock, cluster, runtime, backend } = make(
      1,
      reply(200, { afterMs: 10, body: ['a', 'b'], betweenMs: 50 }),
    );
    const pending = handler(callTo('payments', { runtime }));
    expect(loads(cluster)).toEqual([1]);
    const got = await clock.run(pending);
    await clock.advance(20);
    expect(loads(cluster)).toEqual([1]);
    got.body.attach({ onData() {}, onEnd() {}, onError() {} });
    await clock.advance(200);
    expect(loads(cluster)).toEqual([0]);
    checkLeaks({ clock, backend });
  });

  it('gives load back when the request fails, is canceled midway, or its body is cut', async () => {
    const failing = make(1, refuse());
    await expect(failing.send()).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    expect(loads(failing.cluster)).toEqual([0]);

    const hanging = make(1, hang());
    const call = callTo('payments', { runtime: hanging.runtime });
    const pending = hanging.handler(call);
    expect(loads(hanging.cluster)).toEqual([1]);
    call.scope.cancel();
    await expect(pending).rejects.toBeInstanceOf(CanceledError);
    expect(loads(hanging.cluster)).toEqual([0]);
    checkLeaks({ clock: hanging.clock, backend: hanging.backend, scopes: [call.scope] });

    const cut = make(1, reply(200, { body: ['a', 'b'], cutAfter: 1 }));
    const got = await cut.send();
    got.body.attach({ onData() {}, onEnd() {}, onError() {} });
    expect(loads(cut.cluster)).toEqual([0]);
  });

  it.each<[string, () => unknown]>([
    [
      'throws at once',
      () => {
        throw new Error('mine');
      },
    ],
    ['returns nothing', () => undefined],
    ['promises nothing', async () => undefined],
    ['promises something that never ends', async () => ({ status: 200, headers: {} })],
  ])('gives load back when a layer below %s', async (_what, broken) => {
    const { cluster, runtime } = make(1, reply());
    const handler = compose([balance({ cluster })], broken as never);
    await expect(handler(callTo('payments', { runtime }))).rejects.toBeInstanceOf(Error);
    expect(loads(cluster)).toEqual([0]);
  });

  it('leaves an endpoint alone that breaks off its replies, but not one whose callers do', async () => {
    const breaking: Script = (call) =>
      call.endpoint?.id === origins(1)[0] ? reply(200, { body: ['a', 'b'], cutAfter: 1 }) : reply(200, { body: 'ok' });
    const read = async (got: Reply): Promise<string> => readText(got).catch(() => 'broken');
    const broken = make(3, breaking);
    for (let i = 0; i < 15; i++) await broken.clock.run(read(await broken.send()));
    expect(broken.cluster.members.map((node) => node.health.state)).toEqual(['ejected', 'healthy', 'healthy']);
    const left = make(3, reply(200, { body: 'ok' }));
    for (let i = 0; i < 30; i++) discard(await left.send());
    expect(left.cluster.members.map((node) => node.health.state)).toEqual(['healthy', 'healthy', 'healthy']);
  });

  it('sends each try of a call elsewhere, and only then to the same again', async () => {
    const { send, backend, runtime } = make(3, reply(500), { maxEjectedRatio: 0 });
    const call = callTo('payments', { runtime });
    for (let attempt = 1; attempt <= 5; attempt++) discard(await send(call.with({ attempt })));
    expect(new Set(sentTo(backend).slice(0, 3)).size).toBe(3);
    expect(call.tried.size).toBe(3);
    expect(backend.calls).toHaveLength(5);
  });

  it('sends a try elsewhere also among many', async () => {
    const stubborn = { name: 'first', pick: <N>(nodes: readonly N[]): N => nodes[0] as N };
    const { send, backend, runtime } = make(100, reply(500), { maxEjectedRatio: 0 }, stubborn);
    const call = callTo('payments', { runtime });
    for (let attempt = 1; attempt <= 4; attempt++) discard(await send(call.with({ attempt })));
    expect(new Set(sentTo(backend)).size).toBe(4);
  });

  describe('a hedge', () => {
    const hedged = { [Symbol.for('fairlead.hedged')]: true };
    const at = (n: number, zone: string | null, priority = 0) =>
      createEndpoint(`http://10.0.0.${n}:8080`, { zone, priority });

    async function zonesOf(endpoints: readonly Endpoint[], attributes: Call['attributes'], times = 60) {
      const clock = new VirtualClock({ seed: 5 });
      const cluster = new Cluster({
        service: 'payments',
        resolver: fixed(endpoints),
        runtime: { clock },
        idleMs: false,
      });
      const backend = scripted(() => reply());
      const handler = compose([balance({ cluster })], backend);
      for (let i = 0; i < times; i++) {
        const call = callTo('payments', { clock, attributes });
        call.tried.add(endpoints[0] as Endpoint);
        discard(await clock.run(handler(call)));
        // And a third one, after two.
        if (attributes === hedged) discard(await clock.run(handler(call)));
      }
      cluster.close();
      return backend.calls.map((call) => call.endpoint?.zone ?? null);
    }

    it('goes to a zone where its call was not yet, and a third one to a third', async () => {
      const zones = await zonesOf([at(1, 'a'), at(2, 'a'), at(3, 'a'), at(4, 'b'), at(5, 'b'), at(6, 'c')], hedged);
      for (let i = 0; i < zones.length; i += 2) expect(zones.slice(i, i + 2).sort()).toEqual(['b', 'c']);
    });

    it('also among many', async () => {
      const many = Array.from({ length: 200 }, (_, i) => at(i + 1, i === 150 ? 'b' : 'a'));
      expect((await zonesOf(many, hedged, 10)).filter((_, i) => i % 2 === 0)).toEqual(Array(10).fill('b'));
    });

    it('stays in its zone if there is no other, or only at a later priority', async () => {
      const zones = await zonesOf([at(1, 'a'), at(2, 'a'), at(3, 'a'), at(4, 'b', 1)], hedged);
      expect(new Set(zones)).toEqual(new Set(['a']));
    });

    it('takes an endpoint that says no zone for no other zone', async () => {
      const zones = await zonesOf([at(1, 'a'), at(2, null), at(3, 'b')], hedged);
      expect(zones.filter((_, i) => i % 2 === 0)).toEqual(Array(60).fill('b'));
      expect(new Set(await zonesOf([at(1, null), at(2, 'a'), at(3, 'b')], hedged, 60))).toEqual(new Set(['a', 'b']));
    });

    it('is the only one that does: a retry goes anywhere', async () => {
      const zones = await zonesOf([at(1, 'a'), at(2, 'a'), at(3, 'b')], {});
      expect(new Set(zones)).toEqual(new Set(['a', 'b']));
    });
  });

  it('goes to the next priority for a retry when all of the best were tried', async () => {
    const clock = new VirtualClock();
    const resolver = fixed([createEndpoint('http://a'), createEndpoint('http://b', { priority: 1 })]);
    const cluster = new Cluster({ service: 'payments', resolver, runtime: { clock }, idleMs: false });
    const backend = scripted(reply(503));
    const handler = compose([balance({ cluster })], backend);
    const call = callTo('payments', { runtime: { clock } });
    for (let i = 0; i < 3; i++) discard(await clock.run(handler(call)));
    expect(sentTo(backend).slice(0, 2)).toEqual(['http://a', 'http://b']);
  });

  it('avoids a dead endpoint after one refused attempt, tries it once when its time is up, and uses it again', async () => {
    let dead = true;
    const { send, backend, cluster, clock, events } = make(3, (call) =>
      dead && call.endpoint?.id === origins(3)[0] ? refuse() : reply(),
    );
    let failed = 0;
    const burst = async (): Promise<void> => {
      for (let i = 0; i < 30; i++) await send().then(discard, () => failed++);
    };
    await burst();
    expect(failed).toBe(1);
    await clock.advance(nodeAt(cluster, 0).health.until);
    await burst();
    expect(failed).toBe(2);
    dead = false;
    await clock.advance(nodeAt(cluster, 0).health.until - clock.now());
    await burst();
    expect(failed).toBe(2);
    expect(events.map((event) => event.type).slice(1)).toEqual([
      'endpoint.ejected',
      'endpoint.ejected',
      'endpoint.restored',
    ]);
    expect(
      sentTo(backend)
        .slice(-9)
        .filter((id) => id === origins(3)[0]),
    ).toHaveLength(3);
  });

  it('sends one probe at a time, never a retry, and does not wait for it', async () => {
    const { send, handler, backend, cluster, clock, runtime } = make(2, (call, n) =>
      n === 1 ? refuse() : call.endpoint?.id === backend.calls[0]?.endpoint?.id ? hang() : reply(),
    );
    await expect(send()).rejects.toThrow();
    const dead = cluster.members.find((node) => node.health.state === 'ejected') as Node;
    await clock.advance(dead.health.until);
    const retry = callTo('payments', { runtime });
    retry.tried.add((cluster.members.find((node) => node !== dead) as Node).endpoint);
    discard(await send(retry));
    const probe = callTo('payments', { runtime });
    const probing = handler(probe);
    expect(dead.health.state).toBe('probing');
    for (let i = 0; i < 10; i++) discard(await send());
    expect(dead.inFlight).toBe(1);
    probe.scope.cancel();
    await expect(probing).rejects.toThrow();
    expect(dead).toMatchObject({ inFlight: 0, health: { state: 'ejected' } });
    // The canceled probe said nothing, so the next request may try.
    void handler(callTo('payments', { runtime })).catch(() => {});
    expect(dead.health.state).toBe('probing');
  });

  it('goes on trying when everybody is dead', async () => {
    const { send, backend, cluster } = make(5, refuse());
    for (let i = 0; i < 50; i++) await expect(send()).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    expect(backend.calls).toHaveLength(50);
    expect(cluster.members.filter((node) => node.health.state === 'ejected')).toHaveLength(4);
    // Nobody is the last one for ever: all are tried, so that whoever is back first is found.
    const latest = new Set(sentTo(backend).slice(-20));
    expect(latest.size).toBe(5);
  });

  it('uses even those that are ejected when discovery leaves nobody else', async () => {
    const clock = new VirtualClock();
    let tell: (update: ResolverUpdate) => void = () => {};
    const resolver: Resolver = { name: 'told', watch: (given) => void (tell = given) };
    const cluster = new Cluster({ service: 'payments', resolver, runtime: { clock }, idleMs: false });
    const [a, b] = [createEndpoint('http://a'), createEndpoint('http://b')];
    cluster.start();
    tell({ endpoints: [a, b] });
    nodeAt(cluster, 0).health.leave(nodeAt(cluster, 0).enter(0), 'failure', 0, true, null);
    tell({ endpoints: [a] });
    expect(nodeAt(cluster, 0).health.state).toBe('ejected');
    const handler = compose([balance({ cluster })], scripted(reply()));
    const got = await clock.run(handler(callTo('payments', { runtime: { clock } })));
    expect(got.endpoint).toBe(a);
    expect(nodeAt(cluster, 0).health.state).toBe('healthy');
  });

  it('honours Retry-After of one endpoint without ejecting it', async () => {
    const busy = origins(4)[0];
    const { send, backend, cluster, clock, events } = make(4, (call) =>
      call.endpoint?.id === busy ? reply(503, { headers: { 'retry-after': '2' } }) : reply(),
    );
    const burst = async (): Promise<number> => {
      const before = backend.calls.length;
      for (let i = 0; i < 40; i++) discard(await send());
      return sentTo(backend)
        .slice(before)
        .filter((id) => id === busy).length;
    };
    expect(await burst()).toBe(1);
    await clock.advance(1_999);
    expect(await burst()).toBe(0);
    await clock.advance(1);
    expect(await burst()).toBe(1);
    expect(events.some((event) => event.type === 'endpoint.ejected')).toBe(false);
    expect(nodeAt(cluster, 0).latency.value).toBe(1_000);
  });

  it('reads a Retry-After that is malformed as a short rest', async () => {
    const { send, cluster } = make(2, reply(429, { headers: { 'retry-after': 'soon' } }));
    discard(await send());
    expect(Math.max(...cluster.members.map((node) => node.health.until))).toBe(1_000);
  });

  it('learns nothing bad from what is not the endpoint’s fault', async () => {
    const own = [new CanceledError(), new RejectedError({ by: 'limit' }), new TimeoutError({ of: 'call', ms: 5 })];
    const { cluster, clock, runtime } = make(2, reply());
    const handler = compose([balance({ cluster })], () => Promise.reject(own[0]));
    for (let i = 0; i < 60; i++) {
      own.push(own.shift() as RejectedError);
      await expect(handler(callTo('payments', { runtime }))).rejects.toBe(own[0]);
    }
    expect(cluster.members.every((node) => node.health.failures === 0 && node.health.state === 'healthy')).toBe(true);
    checkLeaks({ clock });
  });

  it('prices failures above every answer, also where answers are slow', async () => {
    const { send, cluster } = make(
      2,
      (call) => (call.endpoint?.id === origins(2)[0] ? reset() : reply(200, { afterMs: 2_000 })),
      {
        maxEjectedRatio: 0,
      },
    );
    for (let i = 0; i < 6; i++) await send().then(discard, () => {});
    expect(nodeAt(cluster, 1).latency.value).toBe(2_000);
    expect(nodeAt(cluster, 0).latency.value).toBeGreaterThanOrEqual(19_000);
  });

  it('takes a cancellation for news of latency if it came later than an answer was expected', async () => {
    const { handler, clock, cluster, runtime } = make(1, hang());
    for (const [ms, expected] of [
      [300, 300],
      [20, 300],
    ] as const) {
      const call = callTo('payments', { runtime });
      const pending = handler(call);
      await clock.advance(ms);
      call.scope.cancel();
      await expect(pending).rejects.toBeInstanceOf(CanceledError);
      expect(nodeAt(cluster, 0).latency.value).toBe(expected);
    }
  });

  it('lets what comes back from an ejection begin with a clean slate', async () => {
    let dead = true;
    const { send, cluster, clock } = make(2, () => (dead ? refuse() : reply(200, { afterMs: 7 })));
    for (let i = 0; i < 4; i++) await expect(send()).rejects.toThrow();
    const node = cluster.members.find(({ health }) => health.state === 'ejected') as Node;
    expect(node.latency.value).toBe(1_000);
    dead = false;
    await clock.advance(node.health.until);
    discard(await send());
    expect(node).toMatchObject({ latency: { value: 7 }, health: { state: 'healthy' } });
  });

  it('does not care that a reply claims to be older than its call', async () => {
    const { cluster, clock, runtime } = make(1, reply());
    await clock.advance(500);
    const handler = compose([balance({ cluster })], async () =>
      (await import('@fairlead/core')).createReply({ at: 0 }),
    );
    await handler(callTo('payments', { runtime }));
    expect(nodeAt(cluster, 0).latency).toMatchObject({ value: 0, at: 500 });
    expect(loads(cluster)).toEqual([0]);
  });

  it('copies the call once and reads neither clock nor chance when all goes well with one endpoint', async () => {
    const { cluster, clock, runtime } = make(1, reply());
    cluster.start();
    let asked = 0;
    const counting = new Proxy(clock, {
      get(target, name) {
        if (name === 'now' || name === 'random' || name === 'wall' || name === 'arm') asked++;
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const call = callTo('payments', { runtime }).with({ runtime: { clock: counting } });
    const end: Handler = () => Promise.resolve(createReply());
    await compose([balance({ cluster })], end)(call);
    expect(asked).toBe(0);
  });

  it('refuses options that are wrong', () => {
    expect(() => balance({} as never)).toThrow(/balance\.cluster = null: expected a cluster/);
    const { cluster } = make(1, reply());
    expect(() => balance({ cluster, pick: 1 } as never)).toThrow(/balance\.pick: expected one of cluster, picker/);
    expect(balance({ cluster }).name).toBe('balance');
  });
});

describe('balance over a cluster that was closed', () => {
  it('says so, rather than that there is nobody, which would be tried again', async () => {
    const { send, cluster, backend } = make(2, reply(204));
    await send();
    cluster.close();
    await expect(send()).rejects.toMatchObject({ code: 'ERR_CANCELED', message: 'payments: closed' });
    expect(backend.calls).toHaveLength(1);
  });
});

describe('a request that an endpoint turned away unseen (REFUSED_STREAM, GOAWAY)', () => {
  const refusedStream = new TransportError({ phase: 'wait', sent: 'no' });

  it('is no failure: the endpoint rests a moment, however often, and is not ejected', async () => {
    const { cluster, clock, runtime, events } = make(2, reply(200));
    const handler = compose([balance({ cluster })], () => Promise.reject(refusedStream));
    for (let i = 0; i < 40; i++) {
      await expect(clock.run(handler(callTo('payments', { runtime })))).rejects.toBe(refusedStream);
      await clock.advance(500);
    }
    expect(events.filter(({ type }) => type === 'endpoint.ejected')).toEqual([]);
    expect(cluster.members.map(({ health }) => [health.state, health.failures])).toEqual([
      ['healthy', 0],
      ['healthy', 0],
    ]);
    expect(cluster.members.some(({ health }) => health.until > clock.now() - 1_500)).toBe(true);
  });

  it('does not make discovery doubtful, as one that cannot connect does', async () => {
    let asked = 0;
    const clock = new VirtualClock();
    const resolver: Resolver = { ...fixed(['http://a']), refresh: () => void asked++ };
    const cluster = new Cluster({ service: 'payments', resolver, runtime: { clock }, idleMs: false });
    let error: Error = refusedStream;
    const handler = compose([balance({ cluster })], () => Promise.reject(error));
    const send = (): Promise<Reply> => clock.run(handler(callTo('payments', { runtime: { clock } })));
    await expect(send()).rejects.toBe(error);
    await clock.advance(2_000);
    expect(asked).toBe(0);
    error = new TransportError({ phase: 'connect', sent: 'no' });
    await expect(send()).rejects.toBe(error);
    await clock.advance(2_000);
    expect(asked).toBe(1);
  });
});

describe('balance before discovery has answered', () => {
  function pending() {
    const clock = new VirtualClock();
    let tell: (update: ResolverUpdate) => void = () => {};
    const resolver: Resolver = { name: 'told', watch: (given) => void (tell = given) };
    const cluster = new Cluster({ service: 'payments', resolver, runtime: { clock }, idleMs: false });
    const backend = scripted(reply(200, { afterMs: 5 }));
    const handler = compose([balance({ cluster })], backend);
    const call = callTo('payments', { runtime: { clock } });
    return { clock, cluster, backend, handler, call, tell: (update: ResolverUpdate) => tell(update) };
  }

  it('lets calls wait, and does not blame the endpoint for the wait', async () => {
    const { clock, cluster, handler, call, tell, backend } = pending();
    const waiting = handler(call);
    await clock.advance(3_000);
    expect(cluster.waiting).toBe(1);
    tell({ endpoints: [createEndpoint('http://a')] });
    const got = await clock.run(waiting);
    expect(got.status).toBe(200);
    expect(nodeAt(cluster, 0).latency.value).toBe(5);
    discard(got);
    checkLeaks({ clock, backend, scopes: [call.scope] });
  });

  it('says that discovery has not answered when time runs out', async () => {
    const { clock, handler, call, cluster } = pending();
    call.scope.expireAt(100, 'attempt', 100);
    await expect(clock.run(handler(call))).rejects.toMatchObject({
      code: 'ERR_NO_ENDPOINT',
      state: 'pending',
      sent: 'no',
      cause: { code: 'ERR_TIMEOUT' },
    });
    expect(clock.now()).toBe(100);
    cluster.close();
    checkLeaks({ clock, scopes: [call.scope] });
  });

  it('ends the wait of a call that is canceled', async () => {
    const { handler, call } = pending();
    const waiting = handler(call);
    call.scope.cancel();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CANCELED' });
  });

  it('sends nothing for a call that is canceled as the answer comes', async () => {
    const { handler, call, tell, backend } = pending();
    const waiting = handler(call);
    tell({ endpoints: [createEndpoint('http://a')] });
    call.scope.cancel();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CANCELED' });
    expect(call.tried.size).toBe(0);
    expect(backend.calls).toHaveLength(0);
  });

  it('fails at once when there is nobody, and says why', async () => {
    const { clock, handler, call, tell, backend } = pending();
    const waiting = handler(call);
    tell({ error: new Error('SERVFAIL') });
    await expect(clock.run(waiting)).rejects.toMatchObject({ state: 'failed', cause: { message: 'SERVFAIL' } });
    // A service without endpoints refuses every call: without a stack, which is most of what an error costs.
    const refusal: unknown = await clock.run(handler(call)).catch((error: unknown) => error);
    expect((refusal as Error).stack).toBe(`NoEndpointError: ${(refusal as Error).message}`);
    tell({ endpoints: [] });
    await expect(clock.run(handler(call))).rejects.toMatchObject({ code: 'ERR_NO_ENDPOINT', state: 'empty' });
    tell({ endpoints: [createEndpoint('http://a')] });
    discard(await clock.run(handler(call)));
    expect(backend.calls).toHaveLength(1);
  });
});
