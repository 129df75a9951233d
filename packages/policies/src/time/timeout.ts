/** @module How long one attempt may take, and whether it has enough time to be worth making. */
import {
  type Call,
  checks,
  type Handler,
  type Middleware,
  named,
  type Receiver,
  type Reply,
  relay,
  resolveOptions,
  Scope,
  TimeoutError,
} from '@fairlead/core';
import { isMode, type PolicyMode } from '../policy-mode.js';
import { alarmed, tellShadow } from './late-alarm.js';
import { LatencyMedian } from './latency-median.js';

/** Options of {@link attemptTimeout}. */
export interface AttemptTimeoutOptions {
  /** Default `on`. In `shadow` no attempt is ended or skipped, and `policy.shadowed` is told for those that would have been. */
  readonly mode: PolicyMode;
  /** From the start of the attempt to the head of its reply, in ms. Waiting for a connection counts. Default 10 000. */
  readonly ms: number;
  /**
   * Whether an attempt is not made if the call has less time left than half of the answers take, as observed. Default true.
   * Every tenth is made all the same, and while such attempts are answered in time, all are.
   */
  readonly skipHopeless: boolean;
}

/** The defaults of {@link attemptTimeout}. */
export const attemptTimeoutDefaults: Readonly<AttemptTimeoutOptions> = Object.freeze({
  mode: 'on',
  ms: 10_000,
  skipHopeless: true,
});

/**
 * Makes a layer that gives every attempt a scope of its own and cancels it with a `TimeoutError` of `attempt` if no head of
 * a reply has arrived in time. The body may then take as long as the call may: the scope stays below that of the call until
 * the request is over, so that a caller who cancels is heard while the body flows.
 *
 * An attempt of a call whose time is up is not made, although no timer may have fired yet; one that is not likely to be
 * answered in what is left of it is not made either (`skipHopeless`): the call ends at once, with a `TimeoutError` of `call`
 * whose `sent` is `no`. Tells `attempt.skipped`. One layer is for one service: latencies are observed.
 *
 * Stands below `retry`, so that each attempt has its own time. If the call has less time left than an attempt, the
 * call's deadline is the one that counts.
 * @throws ConfigError if an option is wrong
 */
export function attemptTimeout(options?: Partial<AttemptTimeoutOptions>): Middleware {
  const given = resolveOptions<AttemptTimeoutOptions>('attemptTimeout', options, attemptTimeoutDefaults, {
    mode: isMode,
    ms: checks.ms(1),
    skipHopeless: checks.boolean(),
  });
  const { mode, ms, skipHopeless } = given;
  if (mode === 'off') return relay('attemptTimeout', (call, next, receiver) => next(call, receiver));
  const usual = new LatencyMedian();
  if (mode === 'shadow') return named('attemptTimeout', (call, next) => shadow(call, next, given, usual));
  const learner = skipHopeless ? usual : null;
  return relay('attemptTimeout', (call, next, receiver) => {
    const leftMs = call.scope.deadlineAt - call.at;
    const hopeless = leftMs <= usual.ms;
    if (hopeless && (leftMs <= 0 || !usual.admits())) {
      receiver.onError(leftMs <= 0 ? call.scope.expiry(call.at) : skipped(call, leftMs, usual.ms));
      return;
    }
    const scope = new AttemptScope(call, ms, hopeless, learner, receiver);
    next(call.withScope(scope), scope);
  });
}

/** The scope of one attempt, which is also told how it went. */
class AttemptScope extends Scope implements Receiver {
  readonly #call: Call;
  readonly #hopeless: boolean;
  readonly #usual: LatencyMedian | null;
  readonly #receiver: Receiver;

  constructor(call: Call, ms: number, hopeless: boolean, usual: LatencyMedian | null, receiver: Receiver) {
    super(call.runtime.clock, call.scope);
    this.#call = call;
    this.#hopeless = hopeless;
    this.#usual = usual;
    this.#receiver = receiver;
    this.expireAt(call.at + ms, 'attempt', ms, call.service);
  }

  onReply(reply: Reply): void {
    if (this.#usual !== null) learn(this.#usual, reply, this.#call, this.#hopeless);
    this.dropTimeout();
    reply.onEnd(this);
    this.#receiver.onReply(reply);
  }

  onError(error: unknown): void {
    this.close();
    this.#receiver.onError(error);
  }
}

/** @param hopeless whether the attempt was made although it had less time than is usual */
function learn(usual: LatencyMedian, reply: Reply, call: Call, hopeless: boolean): void {
  if (reply.status >= 500) return;
  if (hopeless) usual.wasWrong();
  usual.observe(reply.at - call.at);
}

function skipped({ service, attempt, runtime }: Call, leftMs: number, usualMs: number): TimeoutError {
  runtime.on?.({ type: 'attempt.skipped', service, attempt, leftMs, usualMs });
  const error = new TimeoutError({ of: 'call', ms: leftMs, service });
  const [left, half] = [Math.floor(leftMs), Math.ceil(usualMs)];
  error.message = `${service}: not sent, ${left} ms are left and half of the answers take ${half} ms or more`;
  error.sent = 'no';
  return error;
}

function shadow(
  call: Call,
  next: Handler,
  { ms, skipHopeless }: Readonly<AttemptTimeoutOptions>,
  usual: LatencyMedian,
): Promise<Reply> {
  const leftMs = call.scope.deadlineAt - call.at;
  const hopeless = leftMs <= usual.ms;
  if (hopeless && (leftMs <= 0 || !usual.admits())) tellShadow(call, 'attemptTimeout', 'refuse');
  return (leftMs > ms ? alarmed(call, next, 'attemptTimeout', call.at + ms, 'head') : next(call)).then((reply) => {
    if (skipHopeless) learn(usual, reply, call, hopeless);
    return reply;
  });
}
