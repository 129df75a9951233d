/**
 * Would catch: an endpoint that gets work although it should not (or the reverse) because a field is absent, null or out
 * of range; a wrong port, scheme or address; an object that is no slice and is taken for one.
 */
import { describe, expect, it } from 'vitest';
import { UnreadableError } from '../list-watch/request.js';
import type { Member } from './member.js';
import type { SliceObject } from './objects.js';
import { readSlice, sameSlice } from './slice.js';

const http = { name: 'http', port: 8080, protocol: 'TCP' };

function slice(more: object): SliceObject {
  return {
    metadata: { name: 's' },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.0.0.1'] }],
    ports: [http],
    ...more,
  };
}

function origins(object: SliceObject, port: string | number | null = 'http'): string[] {
  return members(object, port).map(({ endpoint }) => endpoint.origin);
}

function members(object: SliceObject, port: string | number | null = 'http'): Member[] {
  return [...readSlice(object, port).members.values()];
}

describe('readSlice: conditions', () => {
  const [yes, no] = [true, false];
  it.each([
    [null, 0],
    [{}, 0],
    [{ ready: null, serving: null, terminating: null }, 0],
    [{ ready: yes }, 0],
    [{ ready: yes, serving: yes, terminating: no }, 0],
    [{ ready: no }, undefined],
    [{ ready: no, serving: no, terminating: no }, undefined],
    [{ ready: no, serving: yes, terminating: yes }, 1],
    [{ ready: no, serving: no, terminating: yes }, undefined],
    [{ ready: no, terminating: yes }, undefined],
    // publishNotReadyAddresses says ready of everybody.
    [{ ready: yes, serving: yes, terminating: yes }, 1],
    [{ ready: yes, serving: no, terminating: no }, 2],
    [{ ready: yes, serving: no, terminating: yes }, 2],
  ])('%j has rank %s', (conditions, rank) => {
    const [member] = members(slice({ endpoints: [{ addresses: ['10.0.0.1'], conditions }] }));
    expect(member?.rank).toBe(rank);
    const terminating = conditions !== null && 'terminating' in conditions && conditions.terminating === true;
    if (rank !== undefined) expect(member?.endpoint.attributes.terminating).toBe(terminating);
  });
});

describe('readSlice: ports', () => {
  const ports = (...list: object[]): SliceObject => slice({ ports: list });

  it('finds a port by name or by number', () => {
    const both = ports({ name: 'grpc', port: 9090 }, http);
    expect(origins(both)).toEqual(['http://10.0.0.1:8080']);
    expect(origins(both, 9090)).toEqual(['http://10.0.0.1:9090']);
    expect(origins(both, 'admin')).toEqual([]);
    expect(readSlice(both, 7).otherPorts).toEqual(['grpc (9090)', 'http (8080)']);
    expect(readSlice(slice({ endpoints: null }), 7).otherPorts).toBeNull();
  });

  it.each([0, -1, 70_000, 80.5, null, undefined, '80'])('cannot connect to port %s', (port) => {
    expect(origins(ports({ name: 'http', port }))).toEqual([]);
  });

  it('takes a number where the slice names no ports, or any', () => {
    for (const object of [slice({ ports: null }), ports(), ports({ name: 'any', port: null })]) {
      expect(origins(object, 81)).toEqual(['http://10.0.0.1:81']);
      expect(origins(object, 'http')).toEqual([]);
    }
  });

  it('leaves UDP alone', () => {
    const dns = ports({ name: 'dns', port: 53, protocol: 'UDP' }, { name: 'dns-tcp', port: 53 });
    expect([origins(dns, 'dns'), origins(dns, 53)]).toEqual([[], ['http://10.0.0.1:53']]);
  });

  it('takes the only port, or the one without a name, where none is asked for', () => {
    expect(origins(ports({ name: 'web', port: 81 }), null)).toEqual(['http://10.0.0.1:81']);
    expect(origins(ports({ name: '', port: 82 }, http), null)).toEqual(['http://10.0.0.1:82']);
    expect(origins(ports({ name: 'dns', port: 53, protocol: 'UDP' }, http), null)).toEqual(['http://10.0.0.1:8080']);
    expect(origins(ports({ name: 'any', port: null }), null)).toEqual([]);
    expect(readSlice(ports({ name: 'a', port: 1 }, { name: 'b', port: 2 }), null).otherPorts).toEqual([
      'a (1)',
      'b (2)',
    ]);
  });

  it.each([
    [{ name: 'https', port: 443 }, 'https://10.0.0.1'],
    [{ name: 'ws', port: 8443, appProtocol: 'kubernetes.io/wss' }, 'https://10.0.0.1:8443'],
    [{ name: 'h2', port: 8080, appProtocol: 'kubernetes.io/h2c' }, 'http://10.0.0.1:8080'],
    [{ name: 'https-admin', port: 8443 }, 'https://10.0.0.1:8443'],
    [{ name: 'web', port: 8443, appProtocol: 'https' }, 'https://10.0.0.1:8443'],
    [{ name: 'httpsome', port: 80 }, 'http://10.0.0.1'],
  ])('%j is %s', (port, origin) => expect(origins(ports(port), port.name)).toEqual([origin]));
});

describe('readSlice: addresses', () => {
  const at = (addressType: string, ...addresses: unknown[]): string[] =>
    origins(slice({ addressType, endpoints: [{ addresses }] }));

  it('reads both families, in their normal form, and only the first address', () => {
    expect(at('IPv4', '10.0.0.1', '10.0.0.2')).toEqual(['http://10.0.0.1:8080']);
    expect(at('IPv6', '2001:DB8:0::1')).toEqual(['http://[2001:db8::1]:8080']);
  });

  it.each(['', 'host', '10.0.0', '010.0.0.1', '10.0.0.1/24', 'fe80::1%eth0', '[::1]', '10.0.0.1:80', 7, null])(
    'leaves out %j',
    (address) => expect(at('IPv4', address)).toEqual([]),
  );

  it('leaves out names and types to come', () => {
    expect([at('FQDN', 'example.com'), at('UNIX', '/run/x'), at('', '10.0.0.1')]).toEqual([[], [], []]);
  });

  it.each([[[]], [[null]], [[{}]], [[{ addresses: null }]], [[{ addresses: [] }]]])('has nobody in %j', (endpoints) => {
    expect(origins(slice({ endpoints }))).toEqual([]);
  });
});

it.each([null, undefined, 7, 'x', [], {}, { metadata: null }, { metadata: { name: '' } }, { metadata: { name: 7 } }])(
  '%j is no slice',
  (object) => expect(() => readSlice(object as SliceObject, 80)).toThrow(UnreadableError),
);

it.each([{ endpoints: {} }, { endpoints: 'x' }, { ports: {} }])('%j in a slice makes it unreadable', (more) => {
  expect(() => readSlice(slice(more), 80)).toThrow(UnreadableError);
});

it('tells zone, node, pod and hints', () => {
  const hints = { forZones: [{ name: 'a' }], forNodes: [{ name: 'n1' }] };
  const one = { addresses: ['10.0.0.1'], zone: 'a', nodeName: 'n1', targetRef: { name: 'p-0' }, hints };
  const [full, bare] = members(slice({ endpoints: [one, { addresses: ['10.0.0.2'], zone: '', hints: {} }] }));
  const attributes = { node: 'n1', pod: 'p-0', hints: { zones: ['a'], nodes: ['n1'] }, terminating: false };
  expect(full?.endpoint).toMatchObject({ id: 'http://10.0.0.1:8080', zone: 'a', weight: 1, priority: 0, attributes });
  expect(bare?.endpoint).toMatchObject({ zone: null, attributes: { node: null, pod: null, hints: null } });
});

describe('readSlice: weights', () => {
  const weight = (metadata: object): number | undefined =>
    members(slice({ metadata: { name: 's', ...metadata } }))[0]?.endpoint.weight;
  const key = 'fairlead.dev/weight';

  it('come from an annotation, or else a label', () => {
    expect(weight({ annotations: { [key]: '2.5' }, labels: { [key]: '9' } })).toBe(2.5);
    expect(weight({ annotations: null, labels: { [key]: '9' } })).toBe(9);
  });

  it.each(['', '0', '-1', 'many', 'Infinity', 'NaN'])('%j counts as 1', (value) => {
    expect(weight({ annotations: { [key]: value } })).toBe(1);
  });
});

describe('readSlice after a change', () => {
  const at = (...list: object[]): SliceObject => slice({ endpoints: list });
  const one = {
    addresses: ['10.0.0.1'],
    zone: 'a',
    nodeName: 'n',
    targetRef: { kind: 'Pod', name: 'p' },
    hints: { forZones: [{ name: 'a' }] },
  };
  const two = { addresses: ['10.0.0.2'] };
  const before = readSlice(at(one, two), 'http');

  it('keeps what has not changed as it was, and knows that nothing has', () => {
    const after = readSlice(at(two, structuredClone(one)), 'http', before);
    expect(after.members.get('10.0.0.1')).toBe(before.members.get('10.0.0.1'));
    expect(sameSlice(before, after)).toBe(true);
    expect(sameSlice(before, readSlice(at(one), 'http', before))).toBe(false);
    expect(sameSlice(readSlice(at(one), 'http', before), before)).toBe(false);
  });

  it.each([
    { zone: 'b' },
    { zone: null },
    { nodeName: 'm' },
    { targetRef: { kind: 'Pod', name: 'q' } },
    { hints: null },
    { hints: { forZones: [{ name: 'b' }] } },
    { hints: { forZones: [{ name: 'a' }], forNodes: [{ name: 'n' }] } },
    { conditions: { ready: false, serving: true, terminating: true } },
    { conditions: { ready: true, serving: false } },
  ])('reads %j anew', (change) => {
    const after = readSlice(at({ ...one, ...change }, two), 'http', before);
    const fresh = readSlice(at({ ...one, ...change }, two), 'http');
    expect(after).toEqual(fresh);
    expect(after.members.get('10.0.0.1')).not.toBe(before.members.get('10.0.0.1'));
    expect(after.members.get('10.0.0.2')).toBe(before.members.get('10.0.0.2'));
    expect(sameSlice(before, after)).toBe(false);
  });

  it('reads everything anew where port, scheme or weight has changed', () => {
    for (const more of [
      { ports: [{ name: 'http', port: 81 }] },
      { ports: [{ ...http, appProtocol: 'https' }] },
      { metadata: { name: 's', annotations: { 'fairlead.dev/weight': '2' } } },
    ]) {
      const after = readSlice(slice({ endpoints: [one, two], ...more }), 'http', before);
      expect(after).toEqual(readSlice(slice({ endpoints: [one, two], ...more }), 'http'));
      expect(after.at).not.toBe(before.at);
    }
  });

  it('believes the better of two that are one address', () => {
    const bad = { ...two, conditions: { ready: true, serving: false } };
    for (const list of [
      [two, bad],
      [bad, two],
    ])
      expect(members(at(...list)).map(({ rank }) => rank)).toEqual([0]);
  });
});
