// Catches: an endpoint ejected too early, too late, for too long or for ever; a probe that wedges; more than one probe at
// a time; answers from before a change that undo it; overload taken for death; ejection past the limit.
import type { FairleadEvent, Runtime, Verdict } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EndpointHealth, type HealthOptions, healthDefaults, type Ward } from './endpoint-health.js';

class TestWard implements Ward {
  readonly service = 'payments';
  readonly events: FairleadEvent[] = [];
  readonly runtime: Runtime = { clock: new VirtualClock({ seed: 7 }), on: (event) => this.events.push(event) };
  readonly options: HealthOptions;
  allowed = true;
  tight = false;
  changes = 0;
  constructor(options: Partial<HealthOptions> = {}) {
    this.options = { ...healthDefaults, ...options };
  }
  mayEject(): boolean {
    return this.allowed;
  }
  short(): boolean {
    return this.tight;
  }
  mayRest(): boolean {
    return this.allowed;
  }
  changed(): void {
    this.changes++;
  }
}

function make(options?: Partial<HealthOptions>): { ward: TestWard; health: EndpointHealth } {
  const ward = new TestWard(options);
  return { ward, health: new EndpointHealth('a', ward) };
}

function request(
  health: EndpointHealth,
  at: number,
  verdict: Verdict,
  refused = false,
  restMs: number | null = null,
): void {
  health.leave(health.enter(at), verdict, at, refused, restMs);
}

function ejected(options?: Partial<HealthOptions>): { ward: TestWard; health: EndpointHealth } {
  const made = make(options);
  request(made.health, 0, 'failure', true);
  return made;
}

describe('EndpointHealth', () => {
  it('ejects at the fifth failure in a row, and not before', () => {
    const { health, ward } = make();
    for (let i = 0; i < 4; i++) request(health, i, 'failure');
    expect(health.state).toBe('healthy');
    request(health, 4, 'failure');
    expect(health.state).toBe('ejected');
    expect(ward.events).toMatchObject([{ type: 'endpoint.ejected', endpoint: 'a', reason: '5 failures in a row' }]);
  });

  it('counts only failures in a row', () => {
    const { health } = make();
    for (let i = 0; i < 40; i++) request(health, i, i % 5 === 4 ? 'success' : 'failure');
    expect(health.state).toBe('healthy');
  });

  it('ejects at the fifth reply in a row that breaks off, although each began well', () => {
    const { health, ward } = make();
    const breakOff = (at: number): void => {
      request(health, at, 'success');
      health.brokeOff(at);
    };
    for (let i = 0; i < 4; i++) breakOff(i);
    health.completed();
    for (let i = 0; i < 4; i++) breakOff(i);
    expect(health.state).toBe('healthy');
    breakOff(4);
    expect(health.state).toBe('ejected');
    expect(ward.events).toMatchObject([{ reason: '5 replies in a row broke off' }]);
    // The head of the probe's reply restores it, and it begins anew.
    request(health, health.until, 'success');
    for (let i = 0; i < 4; i++) breakOff(health.until);
    expect(health.state).toBe('healthy');
    ward.allowed = false;
    for (let i = 0; i < 9; i++) breakOff(health.until);
    expect(health.state).toBe('healthy');
    ward.allowed = true;
    breakOff(health.until);
    expect(health.state).toBe('ejected');
  });

  it('ejects at once where nobody listens', () => {
    const { health, ward } = ejected();
    expect(health.state).toBe('ejected');
    expect(ward.events).toMatchObject([{ reason: 'connection refused' }]);
  });

  it('ejects for half the time and a random part of the other half, twice as long each time, up to the longest', () => {
    const { health, ward } = ejected({ baseEjectMs: 1_000, maxEjectMs: 5_000 });
    const spans: number[] = [];
    for (let i = 0; i < 6; i++) {
      spans.push((ward.events.at(-1) as { forMs: number }).forMs);
      request(health, health.until, 'failure');
    }
    for (const [i, full] of [1_000, 2_000, 4_000, 5_000, 5_000, 5_000].entries()) {
      expect(spans[i]).toBeGreaterThanOrEqual(full / 2);
      expect(spans[i]).toBeLessThanOrEqual(full);
    }
    expect(new Set(spans).size).toBe(6);
  });

  it('lets one probe try when the time is up; success restores and clears', () => {
    const { health, ward } = ejected();
    const ticket = health.enter(health.until);
    expect(health.state).toBe('probing');
    // Another request that comes here for want of a better one has no say beside the probe.
    health.succeeded(health.enter(health.until - 1), health.until);
    expect(health.state).toBe('probing');
    health.succeeded(ticket, health.until);
    expect([health.state, health.failures, health.until]).toEqual(['healthy', 0, 0]);
    expect(ward.events.at(-1)).toEqual({ type: 'endpoint.restored', service: 'payments', endpoint: 'a' });
  });

  it('is ejected no longer than at first while too many are out', () => {
    const { health, ward } = ejected({ baseEjectMs: 1_000 });
    for (let i = 0; i < 5; i++) request(health, health.until, 'failure');
    ward.tight = true;
    request(health, health.until, 'failure');
    expect((ward.events.at(-1) as { forMs: number }).forMs).toBeLessThanOrEqual(1_000);
    ward.tight = false;
    request(health, health.until, 'failure');
    expect((ward.events.at(-1) as { forMs: number }).forMs).toBeGreaterThan(16_000);
  });

  it('may be tried at once when it is called back, and only if it is ejected', () => {
    const { health } = ejected();
    health.recall(10);
    expect([health.state, health.until]).toEqual(['ejected', 10]);
    request(health, 10, 'success');
    request(health, 20, 'overload', false, 1_000);
    health.recall(30);
    expect([health.state, health.until]).toEqual(['healthy', 1_020]);
  });

  it('forgives one doubling for each span of good health', () => {
    const { health, ward } = ejected({ baseEjectMs: 1_000, forgiveMs: 10_000 });
    request(health, health.until, 'failure');
    request(health, health.until, 'failure');
    request(health, 100_000, 'success');
    // The next would be the fourth, 8 s; two spans of health later it is the second.
    request(health, 120_000, 'failure', true);
    const { forMs } = ward.events.at(-1) as { forMs: number };
    expect(forMs).toBeGreaterThanOrEqual(1_000);
    expect(forMs).toBeLessThanOrEqual(2_000);
  });

  it.each(['ignored', 'overload'] as const)('gives the probe back after an outcome that is %s', (verdict) => {
    const { health } = ejected();
    request(health, health.until, verdict);
    expect(health.state).toBe('ejected');
    request(health, health.until, 'success');
    expect(health.state).toBe('healthy');
  });

  it('gives a hung probe up after its own time; its late answer counts for nothing', () => {
    const { health } = ejected({ probeTimeoutMs: 100 });
    const hung = health.enter(10_000);
    expect(health.until).toBe(10_100);
    const second = health.enter(10_100);
    health.leave(hung, 'failure', 10_101, true, null);
    expect(health.state).toBe('probing');
    health.succeeded(second, 10_102);
    expect(health.state).toBe('healthy');
  });

  it('is not restored, nor ejected again, by answers to requests from before', () => {
    const { health, ward } = make();
    const [early, late] = [health.enter(0), health.enter(0)];
    request(health, 1, 'failure', true);
    health.succeeded(early, 2);
    expect(health.state).toBe('ejected');
    request(health, health.until, 'success');
    health.leave(late, 'failure', 20_000, true, null);
    expect(health.state).toBe('healthy');
    expect(ward.events).toHaveLength(2);
  });

  it('is restored by a request that was sent although it was ejected', () => {
    const { health } = ejected();
    request(health, 1, 'failure');
    expect(health.state).toBe('ejected');
    request(health, 2, 'success');
    expect(health.state).toBe('healthy');
  });

  it('only rests when it is overloaded, for as long as it asked for', () => {
    const { health, ward } = make({ maxEjectMs: 60_000, restMs: 700 });
    for (let i = 0; i < 20; i++) request(health, 0, 'overload', false, 2_000);
    expect([health.state, health.until, health.failures]).toEqual(['healthy', 2_000, 0]);
    request(health, 10_000, 'overload', false, null);
    expect(health.until).toBe(10_700);
    request(health, 20_000, 'overload', false, 1e9);
    expect(health.until).toBe(80_000);
    expect(ward.events).toEqual([]);
  });

  it('stays when the others forbid it, and goes with the first failure after they allow it', () => {
    const { health, ward } = make();
    ward.allowed = false;
    for (let i = 0; i < 9; i++) request(health, i, 'failure', true);
    request(health, 9, 'overload', false, 1_000);
    expect([health.state, health.until]).toEqual(['healthy', 0]);
    ward.allowed = true;
    request(health, 10, 'failure');
    expect(health.state).toBe('ejected');
  });

  it('tells nobody of a success that changes nothing', () => {
    const { health, ward } = make();
    for (let i = 0; i < 100; i++) health.succeeded(health.enter(i), i);
    expect(ward.changes).toBe(0);
  });

  it('starts anew as another endpoint, deaf to answers of the old one', () => {
    const { health } = make();
    const old = health.enter(0);
    request(health, 0, 'failure', true);
    health.reset();
    expect([health.state, health.until]).toEqual(['healthy', 0]);
    health.leave(old, 'failure', 1, true, null);
    expect(health.state).toBe('healthy');
  });

  it('never wedges: whatever happened, it is restored by good answers once its time is up', () => {
    const step = fc.record({
      verdict: fc.constantFrom<Verdict>('success', 'failure', 'overload', 'ignored'),
      refused: fc.boolean(),
      after: fc.integer({ min: 0, max: 20_000 }),
      report: fc.constantFrom('now', 'later', 'never'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { health } = make();
        const later: number[] = [];
        let now = 0;
        for (const { verdict, refused, after, report } of steps) {
          now += after;
          const ticket = health.enter(now);
          if (report === 'now') health.leave(ticket, verdict, now, refused, null);
          else if (report === 'later') later.push(ticket);
          if (later.length > 3) health.leave(later.shift() as number, verdict, now, refused, null);
        }
        const longest = Math.max(healthDefaults.maxEjectMs, healthDefaults.probeTimeoutMs);
        expect(health.until).toBeLessThanOrEqual(now + longest);
        request(health, now + longest, 'success');
        expect(health.state).toBe('healthy');
      }),
    );
  });
});
