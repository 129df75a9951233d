/** Would catch: a changed copy that loses a field or changes its original, and a method wrongly taken for idempotent. */
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { Call, type CallChanges, createCall, isIdempotentMethod, Tried } from './call.js';
import { createEndpoint, type Endpoint } from './endpoint.js';
import { Scope } from './scope.js';

const clock = new VirtualClock({ startMs: 7 });
const runtime = { clock };
const endpoint = createEndpoint('http://a:1');

describe('createCall', () => {
  it('begins with defaults', () => {
    const call = createCall({ service: 's', runtime });
    expect(call).toMatchObject({ service: 's', method: 'GET', path: '/', headers: [], body: null, runtime, at: 7 });
    expect(call).toMatchObject({ idempotent: true, attempt: 1, endpoint: null, trace: null });
    expect([call.scope.parent, call.scope.clock, call.tried.size]).toEqual([null, clock, 0]);
    expect(Reflect.ownKeys(call.attributes)).toEqual([]);
  });

  it('knows what may be sent twice', () => {
    const idempotent = (init: object): boolean => createCall({ service: 's', runtime, ...init }).idempotent;
    expect(idempotent({ method: 'POST' })).toBe(false);
    expect(idempotent({ method: 'POST', headers: ['idempotency-key', 'k'] })).toBe(true);
    expect(idempotent({ method: 'POST', idempotent: true })).toBe(true);
    expect(idempotent({ method: 'GET', idempotent: false })).toBe(false);
    const methods = [
      'GET',
      'HEAD',
      'PUT',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'QUERY',
      'POST',
      'PATCH',
      'CONNECT',
      'get',
      '',
    ];
    expect(methods.filter(isIdempotentMethod)).toEqual(methods.slice(0, 7));
  });
});

describe('Call.with', () => {
  const call = createCall({ service: 's', runtime, method: 'POST', body: 'b' }).with({ endpoint, trace: 't' });
  const changes: Required<CallChanges> = {
    service: 'other',
    method: 'PUT',
    path: '/other',
    headers: ['a', 'b'],
    body: 'other',
    scope: new Scope(clock),
    runtime: { clock },
    idempotent: true,
    attempt: 2,
    endpoint: createEndpoint('http://b:1'),
    at: 99,
    tried: new Tried(),
    trace: 'other',
    attributes: { a: 1 },
  };

  it('changes every field by its name, and no other', () => {
    expect(Object.keys(changes).sort()).toEqual(Object.keys(call).sort());
    for (const [name, value] of Object.entries(changes)) {
      const before = { ...call };
      const copy = call.with({ [name]: value });
      expect(copy).toBeInstanceOf(Call);
      expect({ ...call }).toEqual(before);
      expect({ ...copy }).toEqual({ ...before, [name]: value });
      expect(copy[name as keyof Call]).toBe(value);
    }
  });

  it('has a short form for each field that an attempt changes', () => {
    const { endpoint: place, scope, headers, trace } = changes;
    expect({ ...call.withEndpoint(place as Endpoint) }).toEqual({ ...call.with({ endpoint: place }) });
    expect({ ...call.withScope(scope) }).toEqual({ ...call.with({ scope }) });
    expect({ ...call.withHeaders(headers) }).toEqual({ ...call.with({ headers }) });
    expect({ ...call.withTrace(trace) }).toEqual({ ...call.with({ trace }) });
  });

  it('keeps what is undefined, and takes null, false, 0 and the empty string for what they are', () => {
    for (const name of Object.keys(changes)) {
      expect({ ...call.with({ [name]: undefined }) }).toEqual({ ...call });
    }
    const copy = call.with({ body: null, endpoint: null, trace: null, at: 0, idempotent: false, path: '' });
    expect(copy).toMatchObject({ body: null, endpoint: null, trace: null, at: 0, idempotent: false, path: '' });
  });
});

describe('Tried', () => {
  it('counts each endpoint once, by id, and every sending', () => {
    const tried = new Tried();
    const other = createEndpoint('http://b:1');
    expect([tried.size, tried.has(endpoint), tried.sends]).toEqual([0, false, 0]);
    for (const each of [endpoint, createEndpoint('http://c:1', { id: endpoint.id }), other, other]) tried.add(each);
    expect([tried.size, tried.has(endpoint), tried.has(other), tried.sends]).toEqual([2, true, true, 4]);
    expect(tried.has(createEndpoint('http://c:1'))).toBe(false);
  });
});
