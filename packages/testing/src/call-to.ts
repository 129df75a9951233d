/** @module Calls and their events, in one line of a test. */
import {
  type Call,
  type CallInit,
  type Clock,
  createCall,
  type Endpoint,
  type FairleadEvent,
  type Runtime,
} from '@fairlead/core';
import { VirtualClock } from './virtual-clock.js';

/** What {@link callTo} can be told. */
export interface CallToInit extends Partial<Omit<CallInit, 'service'>> {
  /** Default: that of `runtime`, or a new {@link VirtualClock}. */
  readonly clock?: Clock;
  /** Default 1. */
  readonly attempt?: number;
  /** Default null. */
  readonly endpoint?: Endpoint | null;
}

/** Begins a call to `service`; everything has a default. */
export function callTo(service = 'payments', init: CallToInit = {}): Call {
  const { clock, attempt = 1, endpoint = null, ...rest } = init;
  const runtime = init.runtime ?? { clock: clock ?? new VirtualClock() };
  const call = createCall({ ...rest, service, runtime });
  return attempt === 1 && endpoint === null ? call : call.with({ attempt, endpoint });
}

/** Listens to `runtime`; gives the list that every event from now on is put in. Other listeners go on hearing them. */
export function recordEvents(runtime: Runtime): readonly FairleadEvent[] {
  const events: FairleadEvent[] = [];
  const before = runtime.on;
  runtime.on = (event) => {
    events.push(event);
    before?.(event);
  };
  return events;
}
