// Catches: a default of Consul, of failover or of the memory that its page does not tell as it is.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { failoverDefaults } from './compose/failover.js';
import { consulDefaults } from './consul/consul.js';
import { rememberDefaults } from './remember/remember.js';

/** The defaults in the table of `options of name()` in a page, as written. */
function documented(page: string, name: string): Record<string, string> {
  const text = readFileSync(new URL(`../../../../docs/${page}`, import.meta.url), 'utf8');
  const [, table = ''] = text.split(`| option of \`${name}()\` | default | meaning |\n|---|---|---|\n`);
  const rows = table.slice(0, table.indexOf('\n\n') + 1 || undefined).matchAll(/^\| `(\w+)` \| `?([^`|]+?)`? \|/gm);
  return Object.fromEntries([...rows].map(([, option, value]) => [option, value as string]));
}

function written(defaults: object): Record<string, string> {
  const text = (value: unknown): string =>
    Array.isArray(value) ? 'none' : String(value).replace(/\B(?=(\d{3})+$)/g, '_');
  return Object.fromEntries(Object.entries(defaults).map(([option, value]) => [option, text(value)]));
}

describe('the pages', () => {
  it.each([
    ['consul.md', 'consul', consulDefaults],
    ['several-sources.md', 'failover', failoverDefaults],
    ['several-sources.md', 'remember', rememberDefaults],
  ])('%s: the defaults of %s are those of the code', (page, name, defaults) => {
    expect(documented(page, name)).toEqual(written(defaults));
    expect(Object.isFrozen(defaults)).toBe(true);
  });
});
