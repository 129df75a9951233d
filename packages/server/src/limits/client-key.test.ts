/**
 * Would catch a client that gets a second quota by writing a header, by another spelling of its address or by another
 * address of its own network, and an API key that ends up where it can be read.
 */
import type { IncomingMessage } from 'node:http';
import { ConfigError, createCall } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apiKey, clientAddress } from '../index.js';
import { addressKey, normalAddress } from './ip-address.js';

const runtime = { clock: new VirtualClock() };

function keyOf(
  remoteAddress: string | undefined,
  headers: string[],
  options?: Parameters<typeof clientAddress>[0],
): string {
  const request = { socket: { remoteAddress } } as IncomingMessage;
  return clientAddress(options)(createCall({ service: 's', runtime, headers }), request);
}

describe('addresses', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:0201', '192.0.2.1'],
    ['::FFFF:C000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1.2.3.4', '2001:db8:0:0::/64'],
    ['2001:db8::102:304', '2001:db8:0:0::/64'],
    ['::ffff:0:192.0.2.1', '0:0:0:0::/64'],
    ['::192.0.2.1', '0:0:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::', '2001:db8:1:3::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('%s is counted as %s', (text, key) => {
    expect(addressKey(normalAddress(text) as string)).toBe(key);
  });

  it.each([
    [32, '2001:db8::/32'],
    [48, '2001:db8:1::/48'],
    [50, '2001:db8:1:c000::/50'],
    [56, '2001:db8:1:ff00::/56'],
    [64, '2001:db8:1:ffff::/64'],
    [96, '2001:db8:1:ffff:1:2::/96'],
    [127, '2001:db8:1:ffff:1:2:3:4/127'],
    [128, '2001:db8:1:ffff:1:2:3:5/128'],
  ])('has the first %i bits of an IPv6 address, and all of an IPv4 one', (bits, key) => {
    expect(addressKey(normalAddress('2001:db8:1:ffff:1:2:3:5') as string, bits)).toBe(key);
    expect(addressKey('192.0.2.1', bits)).toBe('192.0.2.1');
  });

  it.each(['', 'unknown', '1.2.3', '01.2.3.4', '1.2.3.4.5', '256.1.1.1', ':::', '::g', '1::2::3', '[::1]', '1.2.3.4 '])(
    '%j is no address',
    (text) => expect(normalAddress(text)).toBeNull(),
  );

  it('has one form however it is spelled', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), (groups) => {
        const full = groups.map((group) => group.toString(16).padStart(4, '0')).join(':');
        const short = new URL(`http://[${full}]`).hostname.slice(1, -1);
        expect(normalAddress(short)).toBe(normalAddress(full.toUpperCase()));
      }),
    );
  });
});

describe('clientAddress', () => {
  const trustedProxies = ['10.0.0.0/8', 'fd00::/8', 'loopback'];

  it('listens to no header unless it is told whom to trust', () => {
    expect(keyOf('198.51.100.9', ['x-forwarded-for', '1.1.1.1'])).toBe('198.51.100.9');
    expect(keyOf('127.0.0.1', ['x-forwarded-for', '1.1.1.1'])).toBe('127.0.0.1');
  });

  it.each([
    ['a peer that is not trusted is the client', '198.51.100.9', ['1.1.1.1'], '198.51.100.9'],
    ['one proxy', '10.0.0.1', ['203.0.113.7'], '203.0.113.7'],
    ['the leftmost entry is hearsay', '10.0.0.1', ['1.1.1.1, 203.0.113.7'], '203.0.113.7'],
    ['trusted hops are skipped', '10.0.0.1', ['1.1.1.1, 203.0.113.7, 10.2.3.4,127.0.0.1'], '203.0.113.7'],
    ['only trusted hops: the one farthest out', '10.0.0.1', ['10.0.0.2, 10.0.0.3'], '10.0.0.2'],
    ['no header', '10.0.0.1', [], '10.0.0.1'],
    ['an empty header', '10.0.0.1', [''], '10.0.0.1'],
    ['an empty entry', '10.0.0.1', ['1.1.1.1,,10.0.0.2'], '10.0.0.2'],
    ['garbage stops the walk', '10.0.0.1', ['1.1.1.1, <script>, 10.0.0.2'], '10.0.0.2'],
    ['garbage at the end', '10.0.0.1', ['1.1.1.1, unknown'], '10.0.0.1'],
    ['several headers are one list', '10.0.0.1', ['1.1.1.1', '203.0.113.7, 10.0.0.9', '10.0.0.8'], '203.0.113.7'],
    ['with a port', '10.0.0.1', ['203.0.113.7:4711'], '203.0.113.7'],
    ['IPv6 in brackets with a port', '10.0.0.1', ['[2001:db8::7]:4711'], '2001:db8:0:0::/64'],
    ['IPv6', 'fd00::1', ['2001:db8:0:5::7, fd12::1'], '2001:db8:0:5::/64'],
    ['a peer in mapped form', '::ffff:10.0.0.1', ['203.0.113.7'], '203.0.113.7'],
    ['a hop in mapped hex form', '10.0.0.1', ['203.0.113.7, ::ffff:a00:2'], '203.0.113.7'],
    ['a look-alike of a trusted address is not one', '10.0.0.1', ['1.1.1.1, 2001:db8::10.0.0.2'], '2001:db8:0:0::/64'],
    ["the other header is the client's own", '10.0.0.1', [], '10.0.0.1', ['forwarded', 'for=1.1.1.1']],
  ])('X-Forwarded-For: %s', (_what, peer, lines, key, more: string[] = []) => {
    expect(keyOf(peer, [...lines.flatMap((line) => ['x-forwarded-for', line]), ...more], { trustedProxies })).toBe(key);
  });

  it.each([
    ['one proxy', ['for=203.0.113.7'], '203.0.113.7'],
    ['any case, other parameters', ['Proto=https;FOR="203.0.113.7:80";by=10.0.0.1'], '203.0.113.7'],
    ['IPv6 as it has to be written', ['for="[2001:db8:cafe::17]:4711"'], '2001:db8:cafe:0::/64'],
    ['trusted hops are skipped', ['for=1.1.1.1, for=203.0.113.7;proto=http, for=10.0.0.2'], '203.0.113.7'],
    ['several headers', ['for=203.0.113.7', 'for=10.0.0.2'], '203.0.113.7'],
    ['an obfuscated hop', ['for=203.0.113.7, for=_hidden, for=10.0.0.2'], '10.0.0.2'],
    ['unknown', ['for=unknown'], '10.0.0.1'],
    ['no for', ['proto=https'], '10.0.0.1'],
    ['two of them in one element', ['for=1.1.1.1;for=2.2.2.2'], '10.0.0.1'],
    ['an open quote on the left hides nothing on the right', ['for="1.1.1.1, for=203.0.113.7'], '203.0.113.7'],
    ['a comma inside quotes', ['for=203.0.113.7;host="a,b"'], '203.0.113.7'],
    ['the form of the other header', ['203.0.113.7'], '10.0.0.1'],
  ])('Forwarded: %s', (_what, lines, key) => {
    const headers = ['x-forwarded-for', '9.9.9.9', ...lines.flatMap((line) => ['forwarded', line])];
    expect(keyOf('10.0.0.1', headers, { trustedProxies, header: 'forwarded' })).toBe(key);
  });

  it('is never moved by what an untrusted peer writes', () => {
    const junk = fc.array(fc.oneof(fc.string({ unit: 'grapheme-ascii' }), fc.ipV4(), fc.ipV6(), fc.constant(',"for=')));
    fc.assert(
      fc.property(junk, fc.constantFrom('x-forwarded-for', 'forwarded'), (parts, header) => {
        const name = header as 'forwarded';
        const attack = parts.join(', ');
        expect(keyOf('198.51.100.9', [name, attack], { trustedProxies, header: name })).toBe('198.51.100.9');
        const behindProxy = [name, `${attack}, ${name === 'forwarded' ? 'for=' : ''}198.51.100.9`];
        expect(keyOf('10.0.0.1', behindProxy, { trustedProxies, header: name })).toBe('198.51.100.9');
      }),
    );
  });

  it('has a key for a connection without an address', () => {
    expect(keyOf(undefined, ['x-forwarded-for', '1.1.1.1'], { trustedProxies })).toBe('local');
  });

  it('looks at a connection once, for each configuration on its own', () => {
    let looks = 0;
    const socket = {
      get remoteAddress() {
        looks++;
        return '10.0.0.1';
      },
    };
    const request = { socket } as unknown as IncomingMessage;
    const call = createCall({ service: 's', runtime, headers: ['x-forwarded-for', '203.0.113.7'] });
    const plain = clientAddress();
    const trusting = clientAddress({ trustedProxies });
    expect([plain(call, request), plain(call, request), trusting(call, request), trusting(call, request)]).toEqual([
      '10.0.0.1',
      '10.0.0.1',
      '203.0.113.7',
      '203.0.113.7',
    ]);
    expect(looks).toBe(2);
  });

  it.each([[true], ['*'], [1], [['*']], [[true]], [['0.0.0.0/0']], [['::/0']]])(
    'refuses to trust everybody: %j',
    (given) => {
      expect(() => clientAddress({ trustedProxies: given as never })).toThrow(/choose the address it is limited by/);
    },
  );

  it('lists every network that is none', () => {
    const given = [
      '10.0.0.0/33',
      'proxy.example',
      '10.0.0.1',
      'fe80::1%eth0',
      'fd00::/129',
      7,
      '10.0.0.0/',
    ] as string[];
    let error: ConfigError | undefined;
    try {
      clientAddress({ trustedProxies: given });
    } catch (thrown) {
      error = thrown as ConfigError;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect(error?.problems.map((problem) => problem.value)).toEqual(given.filter((each) => each !== '10.0.0.1'));
    expect(() => clientAddress({ header: 'x-real-ip' as never })).toThrow(/one of x-forwarded-for, forwarded/);
  });
});

describe('apiKey', () => {
  const request = { socket: { remoteAddress: '192.0.2.1' } } as IncomingMessage;
  const callWith = (...headers: string[]) => createCall({ service: 's', runtime, headers });

  it('tells keys apart without giving them away', () => {
    const key = apiKey();
    const one = key(callWith('x-api-key', 'top-secret'), request);
    expect(one).toMatch(/^key:[\w-]{43}$/);
    expect(one).toBe(key(callWith('a', 'b', 'x-api-key', 'top-secret'), request));
    expect(one).not.toBe(key(callWith('x-api-key', 'top-secreu'), request));
  });

  it('counts a caller without a known key in another way', () => {
    const key = apiKey({ header: 'authorization', known: (value) => value === 'good' });
    expect(key(callWith('authorization', 'good'), request)).toMatch(/^key:/);
    expect(key(callWith('authorization', 'made up'), request)).toBe('192.0.2.1');
    expect(key(callWith('authorization', ''), request)).toBe('192.0.2.1');
    expect(key(callWith(), request)).toBe('192.0.2.1');
    expect(apiKey({ otherwise: () => 'nobody' })(callWith(), request)).toBe('nobody');
  });

  it('checks its options', () => {
    expect(() => apiKey({ header: 'X-API-Key', known: 1, otherwise: 2 } as never)).toThrow(
      /header[\s\S]*known[\s\S]*otherwise/,
    );
  });
});
