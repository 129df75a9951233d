// Catches: a list that is told late, twice or not at all, and bad entries that pass or hide one another.
import { ConfigError, createEndpoint, type ResolverUpdate, Scope } from '@fairlead/core';
import { checkLeaks, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { fixed } from './fixed.js';

describe('fixed', () => {
  it('tells its list once, at once, and leaves nothing behind', () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    const told: ResolverUpdate[] = [];
    const heavy = createEndpoint('http://10.0.0.2:81', { weight: 5, zone: 'a' });
    const resolver = fixed(['http://10.0.0.1:8080/', heavy]);
    resolver.watch((update) => told.push(update), scope, { clock });
    expect(told).toEqual([{ endpoints: [createEndpoint('http://10.0.0.1:8080'), heavy] }]);
    expect(resolver.name).toBe('http://10.0.0.1:8080,http://10.0.0.2:81');
    checkLeaks({ clock, scopes: [scope] });
  });

  it('refuses a list with nobody in it', () => {
    for (const list of [[], undefined, 'http://a']) {
      expect(() => fixed(list as never)).toThrow(/expected a list with at least one origin/);
    }
  });

  it('reports every bad entry at once', () => {
    const bad = ['http://a/path', 'http://ok', 'ftp://b', 7, null, { origin: 'http://c', weight: -1 }];
    const error = (() => {
      try {
        return fixed(bad as never);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).problems.map((problem) => problem.value)).toEqual([
      'http://a/path',
      'ftp://b',
      7,
      null,
      -1,
    ]);
  });
});
