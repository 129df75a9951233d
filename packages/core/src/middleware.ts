/** @module Layers, and how they become a stack. */
import type { Call } from './call.js';
import type { Reply } from './reply.js';

/** Answers a call. It never throws synchronously: what goes wrong is a rejected promise. */
export type Handler = (call: Call) => Promise<Reply>;

/**
 * A layer. It may change the call on its way down, look at the reply on its way up, answer by itself, or call `next`
 * any number of times, with different calls.
 */
export type Middleware = (call: Call, next: Handler) => Promise<Reply>;

/**
 * Puts `layers` on top of `end`: `compose([a, b], end)` is `a(b(end))`, the first in the list sees the call first. Bound
 * here once; nothing is composed per call.
 */
export function compose(layers: readonly Middleware[], end: Handler): Handler {
  return layers.reduceRight<Handler>((next, layer) => bind(layer, next), end);
}

function bind(layer: Middleware, next: Handler): Handler {
  return named<Handler>(layer.name, (call) => layer(call, next));
}

/**
 * Gives a function the name by which `describe()` and stack traces know it. The name that a function is written with does
 * not do: bundlers change it where it hides another one, as that of a layer hides that of the function which makes it.
 */
export function named<F extends Middleware | Handler>(name: string, layer: F): F {
  Object.defineProperty(layer, 'name', { value: name });
  return layer;
}
