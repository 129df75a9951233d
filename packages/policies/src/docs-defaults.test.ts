// Would catch: a default that was changed in the code or in its documentation, and not in the other.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as policies from './index.js';

/** Options and their defaults as the table under "Defaults" has them, as text. */
function documented(page: string): Record<string, string> {
  const text = readFileSync(new URL(`../../../docs/policies/${page}.md`, import.meta.url), 'utf8');
  const section = text.split('\n## Defaults\n')[1]?.split('\n## ')[0] ?? '';
  const rows = [...section.matchAll(/^\| `(\w+)` \| `([^`]+)` \|/gm)];
  return Object.fromEntries(rows.map(([, name, value]) => [name as string, value as string]));
}

/** A default the way it is written in the tables. */
function written(value: unknown): string {
  if (typeof value === 'function') return value.name;
  if (typeof value === 'number')
    return value < 1_000 ? String(value) : value.toLocaleString('en-US').replaceAll(',', '_');
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`;
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** Several where a page tells of several: their names are different, or mean the same. */
const pages: Record<string, object | readonly object[]> = {
  breaker: policies.breakerDefaults,
  deadline: policies.deadlineDefaults,
  fallback: [policies.fallbackDefaults, policies.staleDefaults, policies.toServiceDefaults],
  hedge: policies.hedgeDefaults,
  'keyed-buckets': policies.keyedBucketsDefaults,
  'inject-fault': policies.injectFaultDefaults,
  mirror: policies.mirrorDefaults,
  pace: [policies.paceDefaults, policies.fleetPaceDefaults],
  retry: policies.retryDefaults,
  'retry-budget': policies.retryBudgetDefaults,
  throttle: policies.throttleDefaults,
  timeout: policies.attemptTimeoutDefaults,
  'token-bucket': policies.tokenBucketDefaults,
};

describe('the pages of the policies', () => {
  it.each(Object.entries(pages))('%s has the defaults of the code', (page, defaults) => {
    const all = [defaults].flat();
    const entries = all.flatMap((each) => Object.entries(each));
    expect(documented(page)).toEqual(Object.fromEntries(entries.map(([name, value]) => [name, written(value)])));
    expect(all.every((each) => Object.isFrozen(each))).toBe(true);
  });

  it('are there for every set of defaults that is exported', () => {
    const exported = Object.keys(policies).filter((name) => name.endsWith('Defaults'));
    expect(exported.length).toBe(Object.values(pages).flat().length);
  });

  it.each([...Object.keys(pages), 'race'])('%s has the headings that all of them have', (page) => {
    const text = readFileSync(new URL(`../../../docs/policies/${page}.md`, import.meta.url), 'utf8');
    expect([...text.matchAll(/^## (.+)$/gm)].map((match) => match[1])).toEqual([
      'What it does',
      'When not to use it',
      'Usage',
      'Defaults',
      'Events',
      'Errors',
      'Where in the stack',
      'Anti-patterns',
    ]);
  });
});
