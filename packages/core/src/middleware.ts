/** @module What a stack is made of: handlers, and the layers on top of them. Each has two forms that do the same. */
import type { Call } from './call.js';
import type { Reply } from './reply.js';

/** Answers a call. It never throws synchronously: what goes wrong is a rejected promise. */
export interface Handler {
  (call: Call): Promise<Reply>;
  /** The same without a promise, for handlers that have such a form: see `handlerOf`. */
  readonly dispatch?: Dispatch;
}

/**
 * A layer. It may change the call on its way down, look at the reply on its way up, answer by itself, or call `next`
 * any number of times, with different calls.
 */
export interface Middleware {
  (call: Call, next: Handler): Promise<Reply>;
  /** The same without a promise, for layers that have such a form: see `relay`. */
  readonly relay?: Relay;
}

/** Told how a call went: one of the two, once. Neither throws. */
export interface Receiver {
  /** The head of the reply is there. */
  onReply(reply: Reply): void;
  /** There will be no reply. */
  onError(error: unknown): void;
}

/**
 * Answers a call by telling `receiver`, before it returns or later. It never throws. Other than a promise it does not bring
 * the caller's async context along: who is told may find himself in that of a socket or of a timer.
 */
export type Dispatch = (call: Call, receiver: Receiver) => void;

/** A layer that tells `receiver` what becomes of `call`, and is told by `next` in the same way. It never throws. */
export type Relay = (call: Call, next: Dispatch, receiver: Receiver) => void;

/**
 * Gives a function the name by which `describe()` and stack traces know it. The name that a function is written with does
 * not do: bundlers change it where it hides another one, as that of a layer hides that of the function which makes it.
 */
export function named<F extends Middleware | Handler>(name: string, layer: F): F {
  Object.defineProperty(layer, 'name', { value: name });
  return layer;
}
