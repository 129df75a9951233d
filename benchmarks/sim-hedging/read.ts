/** @module A request to a simulated server. */
import { type Call, createReply, type Reply, type ScopeWatcher, Timer } from '@fairlead/core';

/** One request that is answered after a time, or canceled. */
export class Read extends Timer implements ScopeWatcher {
  readonly call: Call;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: unknown) => void;
  constructor(call: Call, resolve: (reply: Reply) => void, reject: (reason: unknown) => void) {
    super();
    this.call = call;
    this.resolve = resolve;
    this.reject = reject;
  }
  fire(): void {
    this.call.scope.unwatch(this);
    this.resolve(createReply({ at: this.call.runtime.clock.now() }));
  }
  onCancel(reason: unknown): void {
    this.call.runtime.clock.disarm(this);
    this.reject(reason);
  }
}
