/**
 * Would catch: a Redis that is down and asked by every request, a probe that is never sent or never ends, pauses that do
 * not grow or never end, and old news taken for new.
 */
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { Contact } from './contact.js';

describe('Contact', () => {
  it('lets everybody ask while all is well', () => {
    const contact = new Contact();
    expect([contact.down, contact.enter(0), contact.enter(0), contact.pauseMs(0)]).toEqual([false, 0, 0, 0]);
    contact.succeeded(0);
    expect(contact.enter(1)).toBe(0);
  });

  it('lets one ask at a time after a failure, after pauses that grow to 2 s', async () => {
    const clock = new VirtualClock();
    const contact = new Contact();
    contact.failed(contact.enter(0), clock);
    const pauses: number[] = [];
    for (let i = 0; i < 8; i++) {
      const pause = contact.pauseMs(clock.now());
      pauses.push(pause);
      await clock.advance(pause * 0.99);
      expect(contact.enter(clock.now())).toBe(-1);
      await clock.advance(pause * 0.01 + 1e-6);
      const probe = contact.enter(clock.now());
      expect(probe).toBeGreaterThan(0);
      expect([contact.enter(clock.now()), contact.enter(clock.now() + 1e6), contact.down]).toEqual([-1, -1, true]);
      contact.failed(probe, clock);
    }
    const most = [100, 200, 400, 800, 1600, 2000, 2000, 2000];
    pauses.forEach((pause, i) => {
      expect(pause).toBeGreaterThanOrEqual((most[i] as number) / 2);
      expect(pause).toBeLessThanOrEqual(most[i] as number);
    });
  });

  it('is up again after one success, with short pauses the next time', async () => {
    const clock = new VirtualClock();
    const contact = new Contact();
    for (let i = 0; i < 5; i++) {
      contact.failed(contact.enter(clock.now()), clock);
      await clock.advance(2_000);
    }
    contact.succeeded(contact.enter(clock.now()));
    expect([contact.down, contact.pauseMs(clock.now())]).toEqual([false, 0]);
    contact.failed(contact.enter(clock.now()), clock);
    expect(contact.pauseMs(clock.now())).toBeLessThanOrEqual(100);
  });

  it('does not listen to what was asked before the last change', async () => {
    const clock = new VirtualClock();
    const contact = new Contact();
    const [first, second, third] = [contact.enter(0), contact.enter(0), contact.enter(0)];
    contact.failed(first, clock);
    const pause = contact.pauseMs(0);
    contact.failed(second, clock); // the same outage: no longer pause
    expect(contact.pauseMs(0)).toBe(pause);
    contact.succeeded(third); // answered before it went down
    expect(contact.down).toBe(true);
    await clock.advance(100);
    contact.abandoned(third);
    const probe = contact.enter(clock.now());
    contact.abandoned(third);
    expect(contact.enter(clock.now())).toBe(-1); // the probe is still out
    contact.succeeded(probe);
    contact.failed(third, clock);
    expect(contact.down).toBe(false);
  });

  it('sends the next probe at once if nobody waits for the last any more', async () => {
    const clock = new VirtualClock();
    const contact = new Contact();
    contact.failed(contact.enter(0), clock);
    await clock.advance(100);
    contact.abandoned(contact.enter(clock.now()));
    expect(contact.enter(clock.now())).toBeGreaterThan(0);
  });
});
