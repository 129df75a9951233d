/** @module What can happen. Names are `noun.past`; every event names its service. */
import type { RejectedBy } from './errors.js';

/** Everything that is told to `runtime.on`. */
export type FairleadEvent =
  | CallEnded
  | AttemptEnded
  | AttemptFailed
  | AttemptSkipped
  | RetryScheduled
  | RetryRefused
  | BreakerChanged
  | FallbackUsed
  | PolicyShadowed
  | HedgeSent
  | HedgeWon
  | HedgeRefused
  | PaceChanged
  | MirrorEnded
  | FaultInjected
  | LimitRefused
  | EndpointEjected
  | EndpointRestored
  | EndpointsChanged
  | ResolverFailed
  | ResolverRecovered
  | MemoryRecalled
  | MemoryFailed
  | SocketReplayed
  | RequestRefused
  | DrainStarted
  | DrainFinished
  | DeadlineExceeded;

interface Base<T extends string> {
  readonly type: T;
  readonly service: string;
}

/** A call is decided: its reply's head has arrived, or it has failed for good. */
export interface CallEnded extends Base<'call.ended'> {
  readonly method: string;
  /** Status of the reply, or null if there is none. */
  readonly status: number | null;
  readonly error: unknown;
  readonly attempts: number;
  readonly ms: number;
}

/** One attempt got the head of a reply. */
export interface AttemptEnded extends Base<'attempt.ended'> {
  readonly endpoint: string;
  readonly attempt: number;
  readonly status: number;
  readonly ms: number;
}

/** One attempt failed without a reply. */
export interface AttemptFailed extends Base<'attempt.failed'> {
  readonly endpoint: string | null;
  readonly attempt: number;
  readonly error: unknown;
  readonly ms: number;
}

/** An attempt was not made, since it would not have been answered in what is left of the call's time. */
export interface AttemptSkipped extends Base<'attempt.skipped'> {
  readonly attempt: number;
  /** What is left, in ms. */
  readonly leftMs: number;
  /** What half of the answers take, in ms. */
  readonly usualMs: number;
}

/** Another attempt will follow. */
export interface RetryScheduled extends Base<'retry.scheduled'> {
  readonly attempt: number;
  readonly delayMs: number;
  readonly reason: string;
}

/** Another attempt would have followed, but was not allowed. */
export interface RetryRefused extends Base<'retry.refused'> {
  readonly attempt: number;
  /**
   * `forbidden`: the reply said so, since everything has been tried behind it; `inherited`: the call is made for a request
   * that is a repetition itself.
   */
  readonly reason:
    | 'budget'
    | 'not-idempotent'
    | 'body'
    | 'deadline'
    | 'retry-after'
    | 'attempts'
    | 'forbidden'
    | 'inherited';
}

/** The breaker of a service changed its state. */
export interface BreakerChanged extends Base<'breaker.opened' | 'breaker.halfOpened' | 'breaker.closed'> {
  readonly retryAfterMs: number | null;
}

/** The caller gets a stand-in instead of the answer. */
export interface FallbackUsed extends Base<'fallback.used'> {
  readonly error: unknown;
  /** Why, in a word: `breaker`, `no-endpoint`, `transport`, `timeout`, `status 503`, or the code or name of an error. */
  readonly reason?: string;
  /** Where the stand-in comes from. */
  readonly from?: 'reply' | 'function' | 'service' | 'stale';
}

/** A policy in shadow mode would have acted. */
export interface PolicyShadowed extends Base<'policy.shadowed'> {
  /** Which: `breaker`, `hedge`, … */
  readonly policy: string;
  /** What it would have done: `refuse`, `send`, `wait`, `cancel`, `inject`. */
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
  /**
   * `ratio`: enough were sent; `budget`: that of retries is used up; `losing`: they have not been of use lately, or would not
   * be; `inherited`: the call is made for a request that is a repetition itself.
   */
  readonly reason: 'ratio' | 'budget' | 'losing' | 'inherited';
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

/** A limit refused a call. */
export interface LimitRefused extends Base<'limit.refused'> {
  readonly by: RejectedBy;
  readonly key: string | null;
  readonly retryAfterMs: number | null;
}

/** An endpoint gets no traffic for a while. */
export interface EndpointEjected extends Base<'endpoint.ejected'> {
  readonly endpoint: string;
  readonly reason: string;
  readonly forMs: number;
}

/** An endpoint gets traffic again. */
export interface EndpointRestored extends Base<'endpoint.restored'> {
  readonly endpoint: string;
}

/** Discovery told a different set of endpoints. */
export interface EndpointsChanged extends Base<'endpoints.changed'> {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly total: number;
}

/** Discovery could not find out who is there; what was known before stays in force. */
export interface ResolverFailed extends Base<'resolver.failed'> {
  readonly resolver: string;
  readonly error: Error;
}

/** Discovery answers again after it had failed, or had been silent while what was remembered had to do. */
export interface ResolverRecovered extends Base<'resolver.recovered'> {
  readonly resolver: string;
  /** How long it did not, in ms. */
  readonly afterMs: number;
}

/** Discovery did not answer at the start, and what was remembered of an earlier process serves until it does. */
export interface MemoryRecalled extends Base<'memory.recalled'> {
  readonly resolver: string;
  /** How old it is, in ms. */
  readonly ageMs: number;
  /** Endpoints in it. */
  readonly total: number;
}

/** What is remembered of discovery was not believed, or could not be written. Nothing else is changed by it. */
export interface MemoryFailed extends Base<'memory.failed'> {
  readonly resolver: string;
  readonly during: 'read' | 'write';
  readonly error: Error;
}

/** A request that died on a kept-alive connection was sent again on a fresh one. */
export interface SocketReplayed extends Base<'socket.replayed'> {
  readonly endpoint: string;
}

/** An inbound request was refused. */
export interface RequestRefused extends Base<'request.refused'> {
  readonly by: RejectedBy;
  readonly status: number;
  readonly key: string | null;
}

/** The server has been asked to stop. */
export interface DrainStarted extends Base<'drain.started'> {
  readonly delayMs: number;
  readonly timeoutMs: number;
}

/** The server has stopped. */
export interface DrainFinished extends Base<'drain.finished'> {
  /** Connections that had to be cut. */
  readonly cut: number;
}

/** An inbound request came too late to be worth an answer. */
export interface DeadlineExceeded extends Base<'deadline.exceeded'> {
  readonly lateMs: number;
}
