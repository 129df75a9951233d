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

function callerKey({ key, apiKeyHeader, trustedProxies, forwardedHeader }: InboundSettings): CallerKey {
  const address = clientAddress({ trustedProxies, header: forwardedHeader });
  if (key === 'address') return address;
  if (key === 'apiKey') return apiKey({ header: apiKeyHeader.toLowerCase(), otherwise: address });
  return (_call, request) => key(request);
}
