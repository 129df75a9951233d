/** Would catch: a call whose parts do not belong together, and events that are lost or taken from another listener. */
import { createEndpoint, type FairleadEvent, type Runtime, Scope } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { callTo, recordEvents } from './call-to.js';
import { VirtualClock } from './virtual-clock.js';

describe('callTo', () => {
  it('has a default for everything', () => {
    const call = callTo();
    expect([call.service, call.method, call.path, call.body, call.attempt, call.endpoint]).toEqual([
      'payments',
      'GET',
      '/',
      null,
      1,
      null,
    ]);
    expect(call.runtime.clock).toBeInstanceOf(VirtualClock);
    expect(call.scope.clock).toBe(call.runtime.clock);
  });

  it('takes everything it is given', () => {
    const clock = new VirtualClock({ startMs: 5 });
    const endpoint = createEndpoint('http://a:1');
    const call = callTo('ledger', { clock, endpoint, attempt: 2, method: 'POST', path: '/x', body: 'b' });
    expect([call.service, call.method, call.path, call.body, call.attempt, call.at]).toEqual([
      'ledger',
      'POST',
      '/x',
      'b',
      2,
      5,
    ]);
    expect(call.endpoint).toBe(endpoint);
    const runtime = { clock };
    const scope = new Scope(clock);
    const other = callTo('ledger', { runtime, scope });
    expect(other.runtime).toBe(runtime);
    expect(other.scope).toBe(scope);
  });
});

describe('recordEvents', () => {
  it('keeps every event, beside whoever listened before', () => {
    const before: FairleadEvent[] = [];
    const runtime: Runtime = { clock: new VirtualClock(), on: (event) => before.push(event) };
    const events = recordEvents(runtime);
    const event: FairleadEvent = { type: 'drain.started', service: 's', delayMs: 1, timeoutMs: 2 };
    runtime.on?.(event);
    expect(events).toEqual([event]);
    expect(before).toEqual([event]);
  });
});
