// Catches: an error about a host that is no service which does not say what would have been one.
import { expect, it } from 'vitest';
import { unknownHost } from './unknown-host.js';

it('names the services, and the one that was meant', () => {
  const names = ['payments', 'ledger'];
  expect(unknownHost('payment', names)).toEqual({
    name: 'host',
    value: 'payment',
    expected: 'one of payments, ledger',
    didYouMean: 'payments',
  });
  expect(unknownHost('elsewhere.example', names).didYouMean).toBeNull();
  expect(unknownHost('payments', []).expected).toBe('a service, of which there is none');
});
