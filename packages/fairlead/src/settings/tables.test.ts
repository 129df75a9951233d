/**
 * Catches: a setting whose default its own check refuses or that differs from that of the part it is for, two settings with
 * one variable, and a variable that cannot be told from another.
 */
import { clusterDefaults, healthDefaults, loadReportDefaults } from '@fairlead/balance';
import {
  breakerDefaults,
  hedgeDefaults,
  injectFaultDefaults,
  mirrorDefaults,
  paceDefaults,
  retryBudgetDefaults,
  retryDefaults,
  throttleDefaults,
} from '@fairlead/policies';
import {
  apiKeyDefaults,
  clientAddressDefaults,
  drainDefaults,
  guardDefaults,
  healthDefaults as routeDefaults,
  shedDefaults,
} from '@fairlead/server';
import { transportDefaults } from '@fairlead/transport';
import { describe, expect, it } from 'vitest';
import { resolveClient, resolveInbound } from './resolve.js';
import type { ServiceSettings } from './service-settings.js';
import { type AnyTable, isGroup, settingAt } from './setting.js';
import { settingsTables, variableIn, variablesOf } from './tables.js';

const rows = (['client', 'service', 'inbound'] as const).flatMap((scope) =>
  Object.entries<AnyTable[string]>(settingsTables[scope]).map(([path, setting]) => ({ scope, path, setting })),
);

describe.each(rows)('$scope $path', ({ scope, path, setting }) => {
  it('has a default that its check allows and that can be written and read', () => {
    const { default: byDefault, value: kind } = setting;
    if (byDefault === undefined) return;
    expect(kind.check.test(byDefault)).toBe(true);
    if (variableIn(scope, path, setting) !== null && kind.format(byDefault) !== '') {
      expect(kind.parse(kind.format(byDefault))).toEqual(byDefault);
    }
  });

  it('has a sentence, and stands behind the switch of its group', () => {
    expect(setting.doc).toMatch(/^[A-Z][^\n|]*\.$/);
    const paths = Object.keys(settingsTables[scope]);
    if (isGroup(settingsTables[scope], path)) expect(paths.find((each) => each.startsWith(path))).toBe(path);
  });
});

describe('variables', () => {
  it('stand for one setting in each scope', () => {
    for (const [variable, targets] of variablesOf(settingsTables)) {
      expect(variable).toMatch(/^[A-Z][A-Z0-9_]*$/);
      expect(new Set(targets.map(({ scope }) => scope)).size).toBe(targets.length);
      // What all services share must be theirs alone: it can be followed by none and preceded by a name.
      if (targets.some(({ scope }) => scope === 'service')) expect(targets).toHaveLength(1);
      expect(variable.startsWith('SERVICE_')).toBe(false);
    }
  });
});

describe('defaults', () => {
  const service = resolveClient({ services: { a: 'http://a' } }, {}).services.get('a')?.values;
  const inbound = resolveInbound({}, {}).values;

  it('are those of the transport', () => {
    expect(service?.transport).toBeDefined();
    expect(transportDefaults).toMatchObject(service?.transport ?? {});
  });

  it('are those of the balancer', () => {
    expect(service?.health).toEqual(healthDefaults);
    const { discoveryIdleMs: idleMs, zone, node, maxWaiting, readyTimeoutMs } = Object(service) as ServiceSettings;
    expect(clusterDefaults).toEqual({ idleMs, zone, node, maxWaiting, readyTimeoutMs });
    const { services } = resolveClient({ services: { a: { from: 'http://a', loadReports: true } } }, {});
    expect(services.get('a')?.values.loadReports).toEqual(loadReportDefaults);
  });

  it('are those of the policies', () => {
    const options = { hedge: true, throttle: true, pace: true, injectFault: true, mirror: { to: 'b' } };
    const { services } = resolveClient({ services: { a: { from: 'http://a', ...options }, b: 'http://b' } }, {});
    const on = services.get('a')?.values;
    const { to: _, ...mirror } = on?.mirror ?? { to: null };
    const parts = { retry: on?.retry, budget: on?.budget, breaker: on?.breaker, hedge: on?.hedge, mirror };
    for (const part of [...Object.values(parts), on?.throttle, on?.pace, on?.injectFault]) expect(part).toBeTruthy();
    expect(retryDefaults).toMatchObject({ ...parts.retry, attempts: on?.attempts });
    expect(retryBudgetDefaults).toMatchObject(Object(parts.budget));
    expect(breakerDefaults).toMatchObject(Object(parts.breaker));
    expect(hedgeDefaults).toMatchObject(Object(parts.hedge));
    expect(throttleDefaults).toMatchObject(Object(on?.throttle));
    expect(paceDefaults).toMatchObject(Object(on?.pace));
    expect(mirrorDefaults).toMatchObject(mirror);
    expect(injectFaultDefaults).toMatchObject(Object(on?.injectFault));
  });

  it('are those of the guard', () => {
    // Switched off, these would be compared with nothing.
    expect(inbound.drain).toBeTruthy();
    expect(guardDefaults).toMatchObject({ service: inbound.name, maxTimeoutMs: inbound.maxTimeoutMs });
    // Two functions that do nothing are the same, but not equal.
    expect({ ...drainDefaults, cleanup: null }).toMatchObject({ ...Object(inbound.drain), cleanup: null });
    const { trustedProxies, forwardedHeader: header } = inbound;
    expect(clientAddressDefaults).toMatchObject({ trustedProxies, header });
    expect(shedDefaults).toMatchObject(Object(inbound.shed));
    expect(inbound.shed).toBeTruthy();
    expect(apiKeyDefaults.header).toBe(inbound.apiKeyHeader);
    expect(routeDefaults).toMatchObject(Object(resolveInbound({ health: true }, {}).values.health));
  });
});

it('what every object inherits is no setting', () => {
  expect(settingAt(settingsTables.client, 'constructor')).toBeUndefined();
  expect(settingAt(settingsTables.client, 'tracing')).toBeDefined();
});
