// Would catch: a request sent twice that must not be, and one given up that could be saved; told apart by method, error,
// status and marks.
import {
  CanceledError,
  ConfigError,
  compose,
  FairleadError,
  NoEndpointError,
  RejectedError,
  type Sent,
  TimeoutError,
  TransportError,
} from '@fairlead/core';
import { callTo, fail, reply, type Step, scripted, VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { retry } from './retry.js';

function rig(script: readonly Step[], method: string) {
  const clock = new VirtualClock();
  const backend = scripted(script);
  return { backend, go: () => clock.run(compose([retry()], backend)(callTo('payments', { method, clock }))) };
}

class Derived extends FairleadError {
  constructor(sent: Sent) {
    super('ERR_DERIVED', 'derived', sent);
  }
}

describe('what is repeated', () => {
  const error = (sent: Sent) => new TransportError({ phase: 'wait', sent });
  it.each<[string, Error, 'GET and POST' | 'GET' | 'none']>([
    ['unsent', error('no'), 'GET and POST'],
    ['no endpoint', new NoEndpointError({ service: 'a', state: 'pending' }), 'GET and POST'],
    ['refused by the health of an endpoint', new RejectedError({ by: 'health' }), 'GET and POST'],
    ['maybe sent', error('maybe'), 'GET'],
    ['attempt timeout', new TimeoutError({ of: 'attempt', ms: 5 }), 'GET'],
    ['call timeout', new TimeoutError({ of: 'call', ms: 5 }), 'none'],
    ['canceled', new CanceledError(), 'none'],
    ['refused by the breaker', new RejectedError({ by: 'breaker' }), 'none'],
    ['refused by a limit', new RejectedError({ by: 'limit' }), 'none'],
    ['misconfigured', new ConfigError([{ name: 'a', expected: 'b' }]), 'none'],
    ['an error of somebody else, unsent', new Derived('no'), 'GET and POST'],
    ['an error of somebody else', new Derived('maybe'), 'none'],
    ['a bug', new TypeError('fetch failed'), 'none'],
    ['not even an error', 'text' as never, 'none'],
  ])('%s: repeats %3$s', async (_what, thrown, which) => {
    for (const method of ['GET', 'POST']) {
      const { go, backend } = rig([fail(() => thrown), reply(200)], method);
      if (which.split(' ').includes(method)) expect((await go()).status).toBe(200);
      else await expect(go()).rejects.toBe(thrown);
      expect(backend.calls.length).toBe(which.split(' ').includes(method) ? 2 : 1);
    }
  });

  it.each<[number, Record<string, string>, 'GET and POST' | 'GET' | 'none']>([
    [200, {}, 'none'],
    [404, {}, 'none'],
    [500, {}, 'none'],
    [501, {}, 'none'],
    [502, {}, 'GET'],
    [503, {}, 'GET'],
    [504, {}, 'GET'],
    [503, { 'x-fairlead-nack': 'retryable' }, 'GET and POST'],
    [503, { 'finagle-http-nack': 'true' }, 'GET and POST'],
    [503, { 'x-envoy-overloaded': 'true' }, 'GET and POST'],
    [503, { 'x-envoy-local-overloaded': 'true' }, 'GET and POST'],
    [500, { 'x-fairlead-nack': 'retryable' }, 'none'],
    [429, {}, 'none'],
    [429, { 'retry-after': '1' }, 'GET'],
    [429, { 'retry-after': 'soon' }, 'none'],
  ])('status %i with %o: repeats %s', async (status, headers, which) => {
    for (const method of ['GET', 'POST']) {
      const { go, backend } = rig([reply(status, { headers }), reply(200)], method);
      const again = which.split(' ').includes(method);
      expect((await go()).status).toBe(again ? 200 : status);
      expect(backend.calls.length).toBe(again ? 2 : 1);
    }
  });
});
