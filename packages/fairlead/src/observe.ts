/** @module The two layers that tell `runtime.on` about calls and attempts. They are in a stack only if somebody listens. */
import type { Call, Handler, Reply } from '@fairlead/core';

/** Tells how a call ended, as its caller sees it: `call.ended`. */
export function observe(call: Call, next: Handler): Promise<Reply> {
  if (call.runtime.on === undefined) return next(call);
  return next(call).then(
    (reply) => {
      callEnded(call, reply.status, null, reply.at || call.runtime.clock.now());
      return reply;
    },
    (error: unknown): Reply => {
      callEnded(call, null, error, call.runtime.clock.now());
      throw error;
    },
  );
}

function callEnded(call: Call, status: number | null, error: unknown, now: number): void {
  const { method, service, tried } = call;
  call.runtime.on?.({ type: 'call.ended', service, method, status, error, attempts: tried.sends, ms: now - call.at });
}

/** Tells how an attempt ended: `attempt.ended` with a status, or `attempt.failed`. */
export function observeAttempt(call: Call, next: Handler): Promise<Reply> {
  if (call.runtime.on === undefined) return next(call);
  return next(call).then(
    (reply) => {
      const { service, endpoint, attempt, at } = call;
      const ms = reply.at - at;
      call.runtime.on?.({
        type: 'attempt.ended',
        service,
        endpoint: endpoint?.id ?? '',
        attempt,
        status: reply.status,
        ms,
      });
      return reply;
    },
    (error: unknown): Reply => {
      const { service, endpoint, attempt, at, runtime } = call;
      const ms = runtime.clock.now() - at;
      runtime.on?.({ type: 'attempt.failed', service, endpoint: endpoint?.id ?? null, attempt, error, ms });
      throw error;
    },
  );
}
