/**
 * @module The standard inbound layers. Read it from top to bottom: that is the order in which a request travels. Before
 * them the engine answers health checks and reads the deadline; behind them is the handler. Why this order: docs/order.md.
 */
import type { Middleware } from '@fairlead/core';
import { keyedBuckets } from '@fairlead/policies';
import { apiKey, type CallerKey, clientAddress, rateLimit } from '@fairlead/server';
import type { InboundSettings } from './settings/index.js';

/** The layers between a server and its handlers. */
export function inboundLayers(settings: InboundSettings): Middleware[] {
  const { limit, maxKeys } = settings;
  const layers: (Middleware | false)[] = [
    // First of all: what is refused must cost as little as possible.
    limit !== false && rateLimit({ limiter: keyedBuckets({ ...limit, maxKeys }), key: callerKey(settings) }),
    ...settings.layers,
  ];
  return layers.filter((layer) => layer !== false);
}

function callerKey(settings: InboundSettings): CallerKey {
  const { key, apiKeyHeader, apiKeys, trustedProxies, forwardedHeader } = settings;
  const address = clientAddress({ trustedProxies, header: forwardedHeader });
  if (key === 'address') return address;
  if (key === 'apiKey') {
    const known = new Set(apiKeys);
    const isKnown = (shown: string): boolean => apiKeys === null || known.has(shown);
    return apiKey({ header: apiKeyHeader, known: isKnown, otherwise: address });
  }
  return (_call, request) => key(request);
}
