// Catches: connections shared by endpoints that must not share them, and names that reach TLS or `host` although they are
// none, or do not reach them.
import { createEndpoint } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { destinationOf, keyOf } from './destination.js';

const named = (origin: string, serverName: unknown) => createEndpoint(origin, { attributes: { serverName } });

describe('destinationOf', () => {
  it.each([
    ['http://10.0.0.5:8080', 'payments.prod', 'http://payments.prod:8080', '10.0.0.5', '8080', null],
    ['http://10.0.0.5', 'Payments.Prod', 'http://payments.prod', '10.0.0.5', '80', null],
    ['https://10.0.0.5:8443', 'payments.prod', 'https://payments.prod:8443', '10.0.0.5', '8443', 'payments.prod'],
    ['https://[fd00::5]', '_a-b.prod', 'https://_a-b.prod', 'fd00::5', '443', '_a-b.prod'],
    ['https://payments.prod', undefined, 'https://payments.prod', 'payments.prod', '443', 'payments.prod'],
    ['https://10.0.0.5', undefined, 'https://10.0.0.5', '10.0.0.5', '443', null],
    ['https://[fd00::5]:1', undefined, 'https://[fd00::5]:1', 'fd00::5', '1', null],
    // What is no name is not used as one.
    ['https://10.0.0.5', '10.0.0.9', 'https://10.0.0.5', '10.0.0.5', '443', null],
    ['https://10.0.0.5', 'fd00::5', 'https://10.0.0.5', '10.0.0.5', '443', null],
    ['https://10.0.0.5', 'a b', 'https://10.0.0.5', '10.0.0.5', '443', null],
    ['https://10.0.0.5', 'a@b', 'https://10.0.0.5', '10.0.0.5', '443', null],
    ['https://10.0.0.5', 'a/b', 'https://10.0.0.5', '10.0.0.5', '443', null],
    ['https://10.0.0.5', '1.2.3.4.5', 'https://10.0.0.5', '10.0.0.5', '443', null],
    ['https://10.0.0.5', '', 'https://10.0.0.5', '10.0.0.5', '443', null],
    ['https://10.0.0.5', 7, 'https://10.0.0.5', '10.0.0.5', '443', null],
  ])('%s, found as %j', (origin, serverName, url, address, port, tlsName) => {
    const destination = destinationOf(named(origin, serverName), undefined);
    expect(destination).toMatchObject({ url, address, port, serverName: tlsName, secure: origin.startsWith('https') });
  });

  it('lets the settings name the TLS server, and only that', () => {
    const destination = destinationOf(named('https://10.0.0.5', 'payments.prod'), 'all.prod');
    expect(destination).toMatchObject({ url: 'https://payments.prod', serverName: 'all.prod' });
    expect(destinationOf(createEndpoint('http://10.0.0.5'), 'all.prod').serverName).toBe(null);
  });
});

describe('keyOf', () => {
  it('is that of the destination, and differs with origin or name', () => {
    const endpoints = [
      createEndpoint('http://10.0.0.5'),
      named('http://10.0.0.5', 'a'),
      named('http://10.0.0.5', 'b'),
      named('http://10.0.0.6', 'a'),
      named('https://10.0.0.5', 'a'),
    ];
    expect(new Set(endpoints.map(keyOf)).size).toBe(5);
    for (const endpoint of endpoints) expect(destinationOf(endpoint, 'x').key).toBe(keyOf(endpoint));
    expect(keyOf(named('http://10.0.0.5', 'A'))).toBe(keyOf(named('http://10.0.0.5', 'a')));
  });
});
