// Would catch: a member that uses turns of Redis and its share at once, or neither; one that is there and does not wait until
// it may go; one that waits with calls and does not try Redis; one that owes for what it did not send, or forgets what it did;
// turns that are used twice, or by a link that is over.

import { VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fleetPaceDefaults } from './pace-fleet.js';
import type { LinkInit, LinkListener } from './pace-fleet-link.js';
import { FleetMember, type Link } from './pace-fleet-member.js';

/** A link that does what the test says. */
class FakeLink implements Link {
  members = 0;
  readonly turns: (() => void)[] = [];
  readonly told: unknown[] = [];
  closed = false;
  constructor(
    readonly init: LinkInit,
    readonly listener: LinkListener,
  ) {}
  async join(): Promise<void> {}
  turn(job: () => void): void {
    this.turns.push(job);
  }
  setMinTime(minTime: number): void {
    this.told.push(minTime);
  }
  hold(ms: number): void {
    this.told.push({ hold: ms });
  }
  close(): void {
    this.closed = true;
  }
  /** There are so many, and turns can be had. */
  open(members: number): void {
    this.members = members;
    this.listener.joined(this as never);
  }
  lose(): void {
    this.listener.lost(this as never);
  }
}

function rig(options: { connect?: () => void } = {}) {
  const clock = new VirtualClock();
  const links: FakeLink[] = [];
  const redis = { duplicate: () => null };
  const member = new FleetMember({ ...fleetPaceDefaults, redis, name: 'bank' }, (init, listener) => {
    options.connect?.();
    const link = new FakeLink(init, listener);
    links.push(link);
    return link;
  });
  const sent: number[] = [];
  member.begin(clock, 10, () => {});
  const send = (): void => {
    void member.schedule(async () => void sent.push(clock.now()));
  };
  const link = () => links.at(-1) as FakeLink;
  return { clock, links, link, member, sent, send };
}

describe('one member of a fleet', () => {
  it('goes by turns once it has joined, and not before', async () => {
    const { clock, link, member, sent, send } = rig();
    send();
    send();
    await clock.advance(1_000);
    expect([sent.length, member.down]).toEqual([0, false]);
    link().open(2);
    expect(link().turns.length).toBe(2);
    link().turns[0]?.();
    await clock.advance(1_000);
    expect([sent.length, clock.pending]).toEqual([1, 0]);
  });

  it('goes on at its share while it is there and others are not', async () => {
    const { clock, links, link, member, sent, send } = rig();
    send();
    link().open(4);
    link().turns[0]?.();
    for (let i = 0; i < 20; i++) send();
    link().lose();
    await clock.advance(101);
    expect([links.length, member.down]).toEqual([2, true]);
    await clock.advance(4_000);
    // A quarter of 10 per second, and the turn of before.
    expect(sent.length).toBeGreaterThanOrEqual(10);
    expect(sent.length).toBeLessThanOrEqual(12);
    const before = sent.length;
    link().open(4);
    expect([member.down, link().turns.length]).toEqual([false, 21 - before]);
    await clock.advance(4_000);
    expect(sent.length).toBe(before);
  });

  it('moves whoever waits to its share when the link is lost, and uses no turn of that link any more', async () => {
    const { clock, link, sent, send } = rig();
    send();
    send();
    const lost = link();
    lost.open(1);
    lost.lose();
    for (const turn of lost.turns) turn();
    await clock.advance(0);
    expect(sent.length).toBe(0);
    await clock.advance(500);
    expect(sent.length).toBe(2);
  });

  it('remembers how many there were, also of a link that never got so far as to give turns', async () => {
    const { clock, link, sent, send } = rig();
    send();
    link().members = 10;
    link().lose();
    for (let i = 0; i < 3; i++) send();
    await clock.advance(10_000);
    expect(sent.slice(1).map((at, i) => at - (sent[i] as number))).toEqual(
      [1_000, 1_000, 1_000].map((ms) => expect.closeTo(ms, 3)),
    );
  });

  it('tries Redis again as long as somebody waits, though its next turn is far off', async () => {
    const { clock, links, link, send } = rig();
    send();
    link().members = 1_000;
    link().lose();
    for (let i = 0; i < 10; i++) {
      await clock.advance(2_000);
      expect(links.length).toBeGreaterThanOrEqual(i + 2);
      link().lose();
    }
  });

  it('takes a client that cannot be made for a server that is not there', async () => {
    let made = 0;
    const { clock, sent, member, send } = rig({
      connect() {
        made++;
        throw new Error('no such option');
      },
    });
    for (let i = 0; i < 20; i++) send();
    await clock.advance(1_000);
    expect(member.down).toBe(true);
    expect(sent.length).toBeLessThanOrEqual(11);
    expect(made).toBeLessThan(6);
    member.close();
    await clock.advance(2_000);
    expect([sent.length, clock.pending]).toEqual([20, 0]);
  });

  it('says what it has sent since it was lost, but not before a pause', async () => {
    const { clock, link, member, send } = rig();
    send();
    expect(member.absence()).toBeNull();
    link().open(2);
    link().turns[0]?.();
    link().lose();
    const lostAt = clock.now();
    for (let i = 0; i < 5; i++) send();
    await clock.advance(1_000);
    expect(member.absence()).toEqual({ among: 2, sent: 5, since: lostAt, shareMs: 200 });
    await clock.advance(60_000);
    expect(member.absence()).toMatchObject({ sent: 0 });
    send();
    await clock.advance(0);
    expect(member.absence()).toMatchObject({ sent: 1, since: lostAt + 61_000 });
  });

  it('forgets nothing of what it has sent when its turns are late', async () => {
    const { clock, link, member, send } = rig();
    send();
    link().open(2);
    link().turns[0]?.();
    link().lose();
    for (let i = 0; i < 6; i++) send();
    await clock.advance(900);
    clock.block(1_000);
    expect(member.absence()).toMatchObject({ sent: 4 });
    await clock.advance(10);
    expect(member.absence()).toMatchObject({ sent: 5, since: 0 });
  });

  it('says its pace to the fleet when it comes, and later only if it has changed meanwhile', async () => {
    const { clock, link, links, member, send } = rig();
    send();
    expect(link().init).toMatchObject({ minTime: 100, says: true });
    link().open(1);
    member.updateSettings({ minTime: 200 });
    expect(link().told).toEqual([200]);
    link().lose();
    await clock.advance(2_000);
    send();
    expect(links.length).toBe(2);
    expect(link().init).toMatchObject({ minTime: 200, says: false });
    member.updateSettings({ minTime: 300 });
    expect(link().told).toEqual([300]);
    link().lose();
    await clock.advance(2_000);
    send();
    expect(link().init).toMatchObject({ minTime: 300, says: true, token: links[0]?.init.token });
  });

  it('lets go of the link and of its timers when it is closed, whatever it was about', async () => {
    for (const state of ['joining', 'open', 'lost'] as const) {
      const { clock, link, member, sent, send } = rig();
      send();
      send();
      if (state !== 'joining') link().open(1);
      if (state === 'lost') link().lose();
      member.close();
      link().open(1);
      expect(link().closed).toBe(state !== 'lost');
      await clock.advance(1_000);
      expect([state, sent.length, clock.pending]).toEqual([state, 2, 0]);
    }
  });

  it('sends each call once, and never faster than its share without turns, whatever its links do', async () => {
    const step = fc.record({
      what: fc.constantFrom('send', 'open', 'lose', 'turn', 'turn'),
      ms: fc.integer({ min: 0, max: 300 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { clock, links, member, sent, send } = rig();
        let asked = 0;
        let given = 0;
        let spells = 1;
        for (const { what, ms } of steps) {
          const link = links.at(-1);
          if (what === 'send') {
            asked++;
            send();
          } else if (what === 'open') link?.open(2);
          else if (what === 'lose') {
            if (!member.down) spells++;
            link?.lose();
          } else if (!member.down && link?.turns.length) {
            given++;
            link.turns.shift()?.();
          }
          await clock.advance(ms);
        }
        expect(sent.length).toBeLessThanOrEqual(asked);
        // Two members: each has 5 per second; before the first link said so, 10. Each spell may begin with one.
        expect(sent.length).toBeLessThanOrEqual(given + clock.now() / 100 + spells);
        member.close();
        await clock.advance(asked * 200 + 400);
        expect([sent.length, clock.pending]).toEqual([asked, 0]);
      }),
      { numRuns: 60 },
    );
  });
});
