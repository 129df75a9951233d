/** Would catch: a limit that lets through what was refused, asks for what is free, or hides when to come back. */
import { ConfigError, createReply, type Handler, RejectedError, Scope } from '@fairlead/core';
import { callTo, recordEvents, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import type { FleetBuckets } from './fleet-buckets.js';
import { fleetLimit } from './fleet-limit.js';
import type { FleetVerdict } from './verdict.js';

const yes: FleetVerdict = { allowed: true, limit: 5, remaining: 4, resetMs: 10, retryAfterMs: 0, shared: true };
const no = (retryAfterMs: number): FleetVerdict => ({ ...yes, allowed: false, remaining: 0, retryAfterMs });

function fixed(verdict: FleetVerdict): FleetBuckets & { asked: unknown[][] } {
  const asked: unknown[][] = [];
  const take: FleetBuckets['take'] = (...args) => {
    asked.push(args);
    return Promise.resolve(verdict);
  };
  return { ask: take, take, giveBack() {}, perSecond: 10, burst: 5, down: false, asked };
}
const reply = createReply();
const next: Handler = () => Promise.resolve(reply);
const key = (): string => 'k';

describe('fleetLimit', () => {
  it('passes on what is allowed, and asks with the key, the cost and the scope of the call', async () => {
    const buckets = fixed(yes);
    const layer = fleetLimit({ buckets, key: (call) => call.service, cost: (call) => call.path.length });
    const call = callTo('s', { path: '/ab' });
    expect(await layer(call, next)).toBe(reply);
    expect(buckets.asked).toEqual([['s', 3, call.scope]]);
    expect(layer.name).toBe('fleetLimit');
  });

  it('refuses the rest with the time to come back, the policy and the key', async () => {
    const call = callTo('s');
    const events = recordEvents(call.runtime);
    let sent = 0;
    const layer = fleetLimit({ buckets: fixed(no(250)), key, name: 'burst' });
    const error = await layer(call, () => Promise.reject(new Error(`sent ${++sent}`))).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RejectedError);
    expect(error).toMatchObject({
      by: 'limit',
      service: 's',
      retryAfterMs: 250,
      policies: ['burst'],
      key: 'k',
      sent: 'no',
    });
    expect((error as Error).message).toContain('"burst"');
    expect(events).toEqual([{ type: 'limit.refused', service: 's', by: 'limit', key: 'k', retryAfterMs: 250 }]);
    expect(sent).toBe(0);
  });

  it('does not wait for what is known already', async () => {
    const knows = (verdict: FleetVerdict): FleetBuckets => ({ ...fixed(verdict), ask: () => verdict });
    const call = callTo('s');
    let sent = false;
    const answer = fleetLimit({ buckets: knows(yes), key })(call, () => {
      sent = true;
      return Promise.resolve(reply);
    });
    expect([sent, await answer]).toEqual([true, reply]);
    await expect(fleetLimit({ buckets: knows(no(9)), key })(call, next)).rejects.toMatchObject({ retryAfterMs: 9 });
  });

  it('does not ask for a call that costs nothing', async () => {
    const buckets = fixed(no(1));
    await fleetLimit({ buckets, key, cost: () => 0 })(callTo(), next);
    expect(buckets.asked).toEqual([]);
  });

  it('never throws, whatever key and cost do', async () => {
    const boom = (): never => {
      throw new Error('boom');
    };
    await expect(fleetLimit({ buckets: fixed(yes), key: boom })(callTo(), next)).rejects.toThrow('boom');
    await expect(fleetLimit({ buckets: fixed(yes), key, cost: boom })(callTo(), next)).rejects.toThrow('boom');
  });

  it('hands on why the wait ended', async () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    const reason = new Error('enough');
    const buckets = { ...fixed(yes), ask: () => Promise.reject(reason) };
    await expect(fleetLimit({ buckets, key })(callTo('s', { clock, scope }), next)).rejects.toBe(reason);
  });

  it('says everything that is wrong with its options', () => {
    const make = (options: unknown) => (): unknown => fleetLimit(options as never);
    expect(make(undefined)).toThrow(ConfigError);
    expect(make({})).toThrow(/buckets = null: expected what fleetBuckets gives[\s\S]*key = null/);
    const wrong = { buckets: fixed(yes), key, name: 'a b', cost: -1, costs: 1 };
    expect(make(wrong)).toThrow(/name = "a b"[\s\S]*cost = -1[\s\S]*costs[\s\S]*did you mean cost/);
  });
});
