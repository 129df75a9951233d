/**
 * @module Waits until a small reply has arrived whole, so that a connection which breaks in the middle of its body is a failed
 * attempt like any other. The reply holds what arrives by itself; nothing is read, copied or wrapped.
 */
import { type Call, type Clock, type EndWatcher, type Reply, Timer } from '@fairlead/core';

/** A body that takes longer is handed over as it is: somebody may want to read what trickles in. In ms. */
const WAIT_MS = 1_000;

/**
 * Whether to wait for the rest of `reply`. Its body may have come with its head.
 * @param maxBytes longest body that is waited for; 0 for none
 */
export function isUnderWay(reply: Reply, call: Call, maxBytes: number): boolean {
  if (reply.body.complete !== false || !call.idempotent) return false;
  const length = Number(reply.headers['content-length']);
  return length > 0 && length <= maxBytes;
}

class Arrival extends Timer implements EndWatcher {
  constructor(
    readonly reply: Reply,
    readonly clock: Clock,
    readonly resolve: (reply: Reply) => void,
    readonly reject: (error: unknown) => void,
  ) {
    super();
  }
  fire(): void {
    this.resolve(this.reply);
  }
  onOver(error: unknown): void {
    this.clock.disarm(this);
    if (error === null) this.resolve(this.reply);
    else this.reject(error);
  }
}

/** `reply`, once its body has arrived or has taken too long; rejected with what broke it before that. */
export function whole(reply: Reply, clock: Clock): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const arrival = new Arrival(reply, clock, resolve, reject);
    clock.arm(arrival, clock.now() + WAIT_MS);
    reply.onEnd(arrival);
  });
}
