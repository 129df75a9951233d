/** Would catch: a verdict that ejects a healthy endpoint for what the caller did, or spares one that is broken. */
import { describe, expect, it } from 'vitest';
import {
  CanceledError,
  ConfigError,
  FairleadError,
  NoEndpointError,
  rejected,
  TimeoutError,
  TlsRejectedError,
  TransportError,
} from './errors.js';
import { judge, Outcome } from './outcome.js';
import { createReply } from './reply.js';

const overload = { 'retry-after': '1' };

function timedOutAfterAttempts(): TimeoutError {
  const error = new TimeoutError({ of: 'call', ms: 1 });
  error.attempts = [{ attempt: 1, endpoint: 'a', error: new TimeoutError({ of: 'attempt', ms: 1 }), status: null }];
  return error;
}

describe('judge', () => {
  it.each([
    [100, {}, 'success'],
    [200, {}, 'success'],
    [302, {}, 'success'],
    [404, {}, 'success'],
    [428, {}, 'success'],
    [429, {}, 'overload'],
    [429, overload, 'overload'],
    [431, {}, 'success'],
    [499, {}, 'success'],
    [500, {}, 'failure'],
    [500, overload, 'failure'],
    [502, {}, 'failure'],
    [503, {}, 'failure'],
    [503, overload, 'overload'],
    [504, {}, 'failure'],
    [599, {}, 'failure'],
  ] as const)('of status %i with %j: %s', (status, headers, verdict) => {
    expect(judge(new Outcome(createReply({ status, headers }), null, 1))).toBe(verdict);
  });

  it.each([
    [new CanceledError(), 'ignored'],
    [rejected('limit', null, 'm'), 'ignored'],
    [new NoEndpointError({ service: 's', state: 'empty' }), 'ignored'],
    [new ConfigError([]), 'ignored'],
    [new TimeoutError({ of: 'call', ms: 1 }), 'ignored'],
    [new TimeoutError({ of: 'attempt', ms: 1 }), 'failure'],
    [new TransportError({ phase: 'connect', sent: 'no' }), 'failure'],
    [new TransportError({ phase: 'wait', sent: 'maybe' }), 'failure'],
    [new TransportError({ phase: 'wait', sent: 'no' }), 'overload'],
    [new TransportError({ phase: 'send', sent: 'no' }), 'overload'],
    [new TransportError({ phase: 'closed', sent: 'no' }), 'failure'],
    [timedOutAfterAttempts(), 'failure'],
    [new TlsRejectedError({ service: 's' }), 'failure'],
    [new FairleadError('ERR_OTHER', 'a code that core does not know', 'maybe'), 'failure'],
    [Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), 'failure'],
    [new Error('of a layer that somebody has written'), 'ignored'],
    ['thrown text', 'ignored'],
    [undefined, 'ignored'],
  ] as const)('of %s: %s', (error, verdict) => {
    expect(judge(new Outcome(null, error, 1))).toBe(verdict);
    // A good head does not outweigh what happened to its body.
    if (error !== undefined) expect(judge(new Outcome(createReply(), error, 1))).toBe(verdict);
  });
});
