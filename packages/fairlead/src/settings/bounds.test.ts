/**
 * Catches: a value that the settings allow and the part it is for does not, which would then be told by itself, by another
 * name, and without everything else that is wrong.
 */

import { expect, it } from 'vitest';
import { createClient } from '../client.js';
import { createServiceGuard } from '../guard.js';
import type { AnyTable } from './setting.js';
import { settingsTables } from './tables.js';

const numbers = [
  0,
  1e-9,
  0.5,
  0.999,
  1,
  1.5,
  2,
  5,
  99,
  101,
  599,
  1e4,
  1e6,
  1e7 + 1,
  2 ** 31 - 1,
  Number.MAX_SAFE_INTEGER,
  1e300,
];

const rows = (['service', 'inbound'] as const).flatMap((scope) =>
  Object.entries<AnyTable[string]>(settingsTables[scope])
    .map(([path, { value }]) => ({ scope, path, allowed: numbers.filter((each) => value.check.test(each)) }))
    .filter(({ allowed }) => allowed.length > 0),
);

/** `{ retry: { baseMs: 5 } }` of `retry.baseMs` and 5. */
function optionsOf(path: string, value: unknown): object {
  return path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object;
}

/** What is wrong with it, but for what the settings themselves have found. */
function refusal(scope: 'service' | 'inbound', options: object): string | null {
  try {
    if (scope === 'inbound')
      createServiceGuard({ drain: false, environment: false, limit: { perSecond: 1 }, ...options });
    else createClient({ environment: false, services: { a: { from: 'http://a', ...options }, b: 'http://b' } });
    return null;
  } catch (error) {
    const { message } = error as Error;
    return message.startsWith('configuration:') ? null : message;
  }
}

it.each(rows)('$scope $path', ({ scope, path, allowed }) => {
  for (const value of allowed) expect(refusal(scope, optionsOf(path, value)), `${value}`).toBeNull();
});

it('a limit', () => {
  for (const perSecond of numbers) {
    for (const burst of [undefined, ...numbers]) {
      const options = { limit: { perSecond, burst } };
      expect(refusal('service', options), JSON.stringify(options)).toBeNull();
      expect(refusal('inbound', options), JSON.stringify(options)).toBeNull();
    }
  }
});
