/**
 * @module Ask before, report after. Breaker, rate limit, concurrency limit, retry budget, load count and endpoint health
 * differ only in their arithmetic; this is the shape they share.
 */
import type { Call } from './call.js';
import type { RejectedError } from './errors.js';
import type { Middleware, Receiver } from './middleware.js';
import { Outcome } from './outcome.js';
import { relay } from './relay.js';
import type { Reply } from './reply.js';

/** Tells a gate how the call that it let in went. Called exactly once. Must not throw. */
export type Leave = (outcome: Outcome) => void;

/** Admission: synchronous, without I/O, in constant time. */
export interface Gate {
  /** Shown by `describe()` and in stack traces. */
  readonly name: string;
  /**
   * When `leave` is called: `head` (default) as soon as the reply's head arrived, for gates that judge; `end` when the
   * request is over, for gates that count what is going on.
   */
  readonly until?: 'head' | 'end';
  /**
   * Lets the call in by giving back whom to tell about it, or refuses it. Must not throw. A gate that has nothing to
   * learn gives back {@link nothingToReport}; one that does should give back the same function while its state lasts
   * rather than a new one for each call.
   */
  enter(call: Call): Leave | RejectedError;
}

/** The `leave` of a gate that does not care how a call went. The host then adds no promise to the call. */
export const nothingToReport: Leave = () => {};

/** Puts a gate into a stack. */
export function gate(g: Gate): Middleware {
  const untilEnd = g.until === 'end';
  return relay(g.name, (call, next, receiver) => {
    const leave = g.enter(call);
    if (typeof leave !== 'function') receiver.onError(leave);
    else next(call, leave === nothingToReport ? receiver : new Admitted(call, leave, untilEnd, receiver));
  });
}

/** A call that was let in, by a gate that wants to know how it goes. */
class Admitted implements Receiver {
  constructor(
    readonly call: Call,
    readonly leave: Leave,
    readonly untilEnd: boolean,
    readonly receiver: Receiver,
  ) {}

  onReply(reply: Reply): void {
    const { call, leave } = this;
    try {
      if (this.untilEnd) reply.onEnd((error) => leave(new Outcome(reply, error, elapsed(call))));
      else leave(new Outcome(reply, null, reply.at - call.at));
    } catch (error) {
      this.receiver.onError(error);
      return;
    }
    this.receiver.onReply(reply);
  }

  onError(error: unknown): void {
    const { call, receiver } = this;
    try {
      this.leave(new Outcome(null, error, elapsed(call)));
    } catch (thrown) {
      receiver.onError(thrown);
      return;
    }
    receiver.onError(error);
  }
}

function elapsed(call: Call): number {
  return call.runtime.clock.now() - call.at;
}

/** Whether `entry` is a refusal. */
export function isRefusal(entry: Leave | RejectedError): entry is RejectedError {
  return typeof entry !== 'function';
}
