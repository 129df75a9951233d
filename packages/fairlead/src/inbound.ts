/**
 * @module The standard inbound layers. Read it from top to bottom: that is the order in which a request travels. Before
 * them the engine answers health checks and reads the deadline; behind them is the handler. Why this order: docs/order.md.
 */
import type { Middleware } from '@fairlead/core';
import { keyedBuckets } from '@fairlead/policies';
import { apiKey, type CallerKey, clientAddress, peerIdentity, type RateLimitInit, rateLimit } from '@fairlead/server';
import type { CallerKeySetting, InboundSettings, LimitSetting } from './settings/index.js';

/** The layers between a server and its handlers. */
export function inboundLayers(settings: InboundSettings): Middleware[] {
  const { limit } = settings;
  const layers: (Middleware | false)[] = [
    // First of all: what is refused must cost as little as possible.
    limit !== false && rateLimit([limit].flat().map((each) => limitOf(each, settings))),
    ...settings.layers,
  ];
  return layers.filter((layer) => layer !== false);
}

function limitOf(limit: LimitSetting, settings: InboundSettings): RateLimitInit {
  const { maxKeys, draftHeaders, legacyHeaders } = settings;
  const { name, cost, key = settings.key } = limit;
  const { perSecond, burst = 1 } = limit;
  const limiter = limit.limiter ?? keyedBuckets({ perSecond: perSecond as number, burst, maxKeys });
  return { name, cost, draftHeaders, legacyHeaders, limiter, key: callerKey(key, settings) } as RateLimitInit;
}

function callerKey(key: CallerKeySetting, settings: InboundSettings): CallerKey {
  const { apiKeyHeader, apiKeys, trustedProxies, forwardedHeader, ipv6Bits } = settings;
  const address = clientAddress({ trustedProxies, header: forwardedHeader, ipv6Bits });
  if (key === 'address') return address;
  if (key === 'identity') return peerIdentity({ otherwise: address });
  if (key === 'apiKey') {
    const known = new Set(apiKeys);
    const isKnown = (shown: string): boolean => apiKeys === null || known.has(shown);
    return apiKey({ header: apiKeyHeader, known: isKnown, otherwise: address });
  }
  return key;
}
