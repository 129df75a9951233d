/** @module What time limits share: why a call ends, and how they only tell, in shadow mode, that it would have. */
import { type Call, type EndWatcher, type Handler, type Reply, Timer } from '@fairlead/core';

class LateAlarm extends Timer implements EndWatcher {
  constructor(
    readonly call: Call,
    readonly policy: string,
  ) {
    super();
    this.background = true;
  }
  fire(): void {
    tellShadow(this.call, this.policy, 'cancel');
  }
  onOver(): void {
    this.call.runtime.clock.disarm(this);
  }
}

/** Says what a policy in shadow mode would have done about `call`. */
export function tellShadow({ runtime, service }: Call, policy: string, would: string): void {
  runtime.on?.({ type: 'policy.shadowed', service, policy, would });
}

/**
 * Passes `call` on, and tells if it is still going on at monotonic time `at`.
 * @param until what ends it: the head of its reply, or the end of the body
 */
export function alarmed(call: Call, next: Handler, policy: string, at: number, until: 'head' | 'end'): Promise<Reply> {
  const alarm = new LateAlarm(call, policy);
  call.runtime.clock.arm(alarm, at);
  return next(call).then(
    (reply) => {
      if (until === 'end') reply.onEnd(alarm);
      else alarm.onOver();
      return reply;
    },
    (error: unknown): never => {
      alarm.onOver();
      throw error;
    },
  );
}
