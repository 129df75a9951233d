/** @module What the policies of this package tell, besides the events that core knows. */
import type { FairleadEvent, Runtime } from '@fairlead/core';

/** Everything that the policies tell to `runtime.on`. */
export type PolicyEvent =
  | FairleadEvent
  | PolicyShadowed
  | HedgeSent
  | HedgeWon
  | HedgeRefused
  | PaceChanged
  | MirrorEnded
  | FaultInjected;

interface Base<T extends string> {
  readonly type: T;
  readonly service: string;
}

/** A policy in shadow mode would have acted. */
export interface PolicyShadowed extends Base<'policy.shadowed'> {
  /** Which: `breaker`, `hedge`, … */
  readonly policy: string;
  /** What it would have done: `refuse`, `send`, `wait`, `inject`. */
  readonly would: string;
}

/** The same request was sent once more, because its answer takes long. */
export interface HedgeSent extends Base<'hedge.sent'> {
  /** Number of the new attempt. */
  readonly attempt: number;
  /** How long the attempts before it have been out, in ms. */
  readonly afterMs: number;
}

/** An attempt that was sent in addition was the first to be answered well. */
export interface HedgeWon extends Base<'hedge.won'> {
  readonly attempt: number;
}

/** The answer takes long, but the request was not sent once more. */
export interface HedgeRefused extends Base<'hedge.refused'> {
  /** `ratio`: enough were sent; `budget`: that of retries is used up; `losing`: they have not been of use lately. */
  readonly reason: 'ratio' | 'budget' | 'losing';
}

/** The pace of calls to a service was changed by what it answered. */
export interface PaceChanged extends Base<'pace.changed'> {
  readonly perSecond: number;
  /** No call is let go for so long, in ms. */
  readonly holdMs: number;
}

/** A copy of a call was answered, or failed; nobody has waited for it. */
export interface MirrorEnded extends Base<'mirror.ended'> {
  /** Where the copy went. */
  readonly to: string;
  readonly status: number | null;
  readonly error: unknown;
  readonly ms: number;
}

/** A fault was put in the way of a call on purpose. */
export interface FaultInjected extends Base<'fault.injected'> {
  readonly fault: 'latency' | 'abort' | 'reset' | 'slowBody';
}

/** A runtime whose listener is told these events too. Every runtime is one: a listener must not mind what it does not know. */
export interface PolicyRuntime extends Runtime {
  on?: ((event: PolicyEvent) => void) | undefined;
}

/** Tells `event`, if anybody listens. Ask for `runtime.on` first where the event would be built for nobody on a hot path. */
export function tell(runtime: Runtime, event: PolicyEvent): void {
  (runtime as PolicyRuntime).on?.(event);
}
