// Would catch: an event of a policy that no listener gets, or a policy that needs somebody to listen.
import { recordEvents, VirtualClock } from '@fairlead/testing';
import { expect, it } from 'vitest';
import { tell } from './policy-events.js';

it('tells who listens, and nobody if nobody does', () => {
  const runtime = { clock: new VirtualClock() };
  const event = { type: 'hedge.won', service: 's', attempt: 2 } as const;
  tell(runtime, event);
  const events = recordEvents(runtime);
  tell(runtime, event);
  expect(events).toEqual([event]);
});
