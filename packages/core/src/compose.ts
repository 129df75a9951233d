/** @module How layers become a stack. */
import { type Handler, type Middleware, named } from './middleware.js';
import { dispatchOf, handlerOf } from './relay.js';

/**
 * Puts `layers` on top of `end`: `compose([a, b], end)` is `a(b(end))`, the first in the list sees the call first. Bound
 * here once; nothing is composed per call. Between neighbours that can do without a promise there is none.
 */
export function compose(layers: readonly Middleware[], end: Handler): Handler {
  return layers.reduceRight<Handler>((next, layer) => bind(layer, next), end);
}

function bind(layer: Middleware, next: Handler): Handler {
  const { name, relay } = layer;
  if (relay === undefined) return named<Handler>(name, (call) => layer(call, next));
  const below = dispatchOf(next);
  return handlerOf(name, (call, receiver) => relay(call, below, receiver));
}
