// Would catch: a mode that is not one being taken, or one that is being refused.
import { expect, it } from 'vitest';
import { isMode } from './policy-mode.js';

it.each([
  ['on', true],
  ['shadow', true],
  ['off', true],
  ['ON', false],
  [true, false],
  [null, false],
])('%s is a mode: %s', (value, is) => {
  expect(isMode.test(value)).toBe(is);
});
