/** @module How long one attempt may take, and whether it has enough time to be worth making. */
import {
  type Call,
  checks,
  type Handler,
  type Middleware,
  named,
  type Reply,
  resolveOptions,
  type Scope,
  TimeoutError,
} from '@fairlead/core';
import { alarmed, tellShadow } from './late-alarm.js';
import { LatencyMedian } from './latency-median.js';
import { isMode, type PolicyMode } from './policy-mode.js';

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
  if (mode === 'off') return named('attemptTimeout', (call: Call, next: Handler): Promise<Reply> => next(call));
  const usual = new LatencyMedian();
  if (mode === 'shadow') return named('attemptTimeout', (call, next) => shadow(call, next, given, usual));
  return named('attemptTimeout', (call, next) => {
    if (call.scope.deadlineAt - call.at <= usual.ms) return hurry(call, next, ms, usual);
    const scope = scopeFor(call, ms);
    return next(call.withScope(scope)).then(
      (reply): Reply => {
        if (skipHopeless && reply.status < 500) usual.observe(reply.at - scope.due + ms);
        return answered(reply, scope);
      },
      (error: unknown): never => {
        scope.close();
        throw error;
      },
    );
  });
}

/** The scope of one attempt. */
function scopeFor(call: Call, ms: number): Scope {
  const scope = call.scope.child();
  const dueAt = call.at + ms;
  // Also if the call has less time than the attempt, when no timer is armed: it tells later when the attempt began.
  scope.due = dueAt;
  scope.expireAt(dueAt, 'attempt', ms, call.service);
  return scope;
}

function answered(reply: Reply, scope: Scope): Reply {
  scope.dropTimeout();
  reply.onEnd(scope);
  return reply;
}

/** An attempt with less time than is usual, or with none. */
function hurry(call: Call, next: Handler, ms: number, usual: LatencyMedian): Promise<Reply> {
  const leftMs = call.scope.deadlineAt - call.at;
  if (leftMs <= 0) return expired(call);
  if (!usual.admits()) return skip(call, leftMs, usual.ms);
  const scope = scopeFor(call, ms);
  return next(call.withScope(scope)).then(
    (reply): Reply => {
      if (reply.status < 500) {
        usual.wasWrong();
        usual.observe(reply.at - call.at);
      }
      return answered(reply, scope);
    },
    (error: unknown): never => {
      scope.close();
      throw error;
    },
  );
}

async function expired(call: Call): Promise<never> {
  call.scope.throwIfExpired(call.at);
  throw call.scope.reason;
}

async function skip(call: Call, leftMs: number, usualMs: number): Promise<never> {
  const { service, attempt, runtime } = call;
  runtime.on?.({ type: 'attempt.skipped', service, attempt, leftMs, usualMs });
  const error = new TimeoutError({ of: 'call', ms: leftMs, service });
  const [left, half] = [Math.floor(leftMs), Math.ceil(usualMs)];
  error.message = `${service}: not sent, ${left} ms are left and half of the answers take ${half} ms or more`;
  error.sent = 'no';
  throw error;
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
    if (skipHopeless && reply.status < 500) {
      if (hopeless) usual.wasWrong();
      usual.observe(reply.at - call.at);
    }
    return reply;
  });
}
