// Catches: a service that nobody calls and that is watched for ever; a call after an idle time that goes to endpoints which
// are gone, that waits for a source which is down, or that finds nobody; watches and timers left behind.
import { createEndpoint, type Resolver, type ResolverUpdate, type Scope } from '@fairlead/core';
import { callTo, reply, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { balance } from './balance.js';
import { Cluster, type ClusterOptions } from './cluster.js';

const IDLE = 60_000;

function make(idleMs: number | false | 'default' = IDLE, options: Partial<ClusterOptions> = {}) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const watches: { tell: (update: ResolverUpdate) => void; scope: Scope }[] = [];
  const resolver: Resolver = { name: 'told://', watch: (tell, scope) => void watches.push({ tell, scope }) };
  const cluster = new Cluster({
    service: 'payments',
    resolver,
    runtime,
    ...(idleMs === 'default' ? {} : { idleMs }),
    ...options,
  });
  const layer = balance({ cluster });
  const backend = scripted(reply(200));
  const asked: string[] = [];
  const send = async (): Promise<number> => {
    const call = callTo('payments', { runtime });
    const answer = await layer(call, (each) => {
      asked.push(each.endpoint?.id ?? '');
      return backend(each);
    });
    answer.body.cancel();
    return answer.status;
  };
  const tell = (...ids: string[]): void =>
    watches.at(-1)?.tell({ endpoints: ids.map((id) => createEndpoint(`http://${id}:80`, { id })) });
  return { clock, cluster, watches, send, tell, asked };
}

describe('a service that nobody calls', () => {
  it('is not watched any more after the idle time, and not before', async () => {
    const { clock, cluster, watches, send, tell } = make();
    const first = send();
    tell('a');
    await first;
    await clock.advance(40_000);
    await send();
    await clock.advance(59_000);
    expect([cluster.watching, watches[0]?.scope.canceled]).toEqual([true, false]);
    await clock.advance(2_000);
    expect([cluster.watching, watches[0]?.scope.canceled, clock.pending]).toEqual([false, true, 0]);
    expect(cluster.members.map((node) => node.endpoint.id)).toEqual(['a']);
  });

  it('lets calls beyond those that may wait go to who was known, when it is called again', async () => {
    const { clock, cluster, send, tell, asked } = make(IDLE, { maxWaiting: 1 });
    const first = send();
    tell('a');
    await first;
    await clock.advance(2 * IDLE);
    expect(cluster.watching).toBe(false);
    const waiting = send();
    expect([await send(), cluster.waiting, asked]).toEqual([200, 1, ['a', 'a']]);
    tell('b');
    expect([await waiting, asked.at(-1)]).toEqual([200, 'b']);
  });

  it('is watched for good with false', async () => {
    const { clock, cluster, send, tell } = make(false);
    const first = send();
    tell('a');
    await first;
    expect(clock.pending).toBe(0);
    await clock.advance(10 * IDLE);
    expect(cluster.watching).toBe(true);
  });

  it('is watched for ten minutes by default', async () => {
    const { clock, cluster, send, tell } = make('default');
    const first = send();
    tell('a');
    await first;
    await clock.advance(599_000);
    expect(cluster.watching).toBe(true);
    await clock.advance(2_000);
    expect(cluster.watching).toBe(false);
  });
});

describe('the first call after an idle time', () => {
  async function idle() {
    const made = make();
    const first = made.send();
    made.tell('a');
    await first;
    await made.clock.advance(2 * IDLE);
    expect(made.cluster.watching).toBe(false);
    made.asked.length = 0;
    return made;
  }

  it('waits for what has changed, and goes there', async () => {
    const { send, tell, asked, cluster, clock } = await idle();
    const going = send();
    await clock.advance(500);
    expect([asked, cluster.waking, cluster.watching]).toEqual([[], true, true]);
    tell('b');
    expect(await going).toBe(200);
    expect([asked, cluster.waking]).toEqual([['b'], false]);
  });

  it('goes where it went before if the source fails', async () => {
    const { send, watches, asked, cluster } = await idle();
    const going = send();
    watches.at(-1)?.tell({ error: new Error('down') });
    expect(await going).toBe(200);
    expect([asked, cluster.waking]).toEqual([['a'], false]);
  });

  it('does so after a second if the source is silent, and calls after it do not wait', async () => {
    const { send, clock, asked, cluster } = await idle();
    const begun = clock.now();
    expect(await clock.run(send())).toBe(200);
    expect(clock.now() - begun).toBe(1_000);
    expect(await send()).toBe(200);
    expect([asked, cluster.waking, cluster.watching]).toEqual([['a', 'a'], false, true]);
    await clock.advance(2 * IDLE);
    expect([cluster.watching, clock.pending]).toEqual([false, 0]);
  });

  it('hears nothing of the watch that was given up', async () => {
    const { send, watches, tell, asked } = await idle();
    const going = send();
    watches[0]?.tell({ endpoints: [] });
    tell('b');
    await going;
    expect(asked).toEqual(['b']);
  });

  it('leaves nothing behind when the cluster is closed meanwhile', async () => {
    const { send, watches, cluster, clock } = await idle();
    const going = send();
    cluster.close();
    await expect(going).rejects.toMatchObject({ code: 'ERR_CANCELED' });
    expect([watches.at(-1)?.scope.canceled, clock.pending]).toEqual([true, 0]);
  });
});

it('refuses an idle time that is none', () => {
  expect(() => make(0)).toThrow(/cluster\.idleMs/);
  expect(() => make(true as never)).toThrow(/cluster\.idleMs/);
});
