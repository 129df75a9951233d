/**
 * Would catch: errors that a second copy of the package does not recognise, that lie about whether a request was sent,
 * or whose message does not say who, where and why.
 */
import { describe, expect, it } from 'vitest';
import {
  CanceledError,
  ConfigError,
  errorCode,
  FairleadError,
  NoEndpointError,
  noEndpoint,
  RejectedError,
  rejected,
  TimeoutError,
  TlsRejectedError,
  TransportError,
} from './errors.js';

const samples = [
  ['RejectedError', 'ERR_REJECTED', 'no', new RejectedError({ by: 'breaker', service: 's' }), 's: refused by breaker'],
  [
    'NoEndpointError',
    'ERR_NO_ENDPOINT',
    'no',
    new NoEndpointError({ service: 's', state: 'empty' }),
    'has no endpoints',
  ],
  [
    'TransportError',
    'ERR_TRANSPORT',
    'maybe',
    new TransportError({ phase: 'wait', sent: 'maybe', service: 's', endpoint: 'e', cause: { code: 'ECONNRESET' } }),
    's: wait failed at e: ECONNRESET',
  ],
  ['TimeoutError', 'ERR_TIMEOUT', 'maybe', new TimeoutError({ of: 'attempt', ms: 99.7 }), 'within 100 ms'],
  [
    'TlsRejectedError',
    'ERR_TLS_REJECTED',
    'maybe',
    new TlsRejectedError({ service: 's', endpoint: 'e' }),
    's: e refused the TLS handshake',
  ],
  ['CanceledError', 'ERR_CANCELED', 'maybe', new CanceledError({ cause: 'c' }), 'canceled'],
  ['ConfigError', 'ERR_CONFIG', 'no', new ConfigError([{ name: 'n', expected: 'e' }]), '1 problem'],
] as const;

describe('every error', () => {
  it.each(samples)('%s has name, code, sent, message and stack', (name, code, sent, error, message) => {
    expect(error).toMatchObject({ name, code, sent, attempts: [] });
    expect(error.message).toContain(message);
    expect(error.stack).toContain(`${name}: `);
    expect([error instanceof FairleadError, error instanceof Error, errorCode(error)]).toEqual([true, true, code]);
  });

  it('is told apart from every other kind', () => {
    const types = [
      RejectedError,
      NoEndpointError,
      TransportError,
      TimeoutError,
      TlsRejectedError,
      CanceledError,
      ConfigError,
    ];
    samples.forEach(([, , , error], i) => {
      expect(types.map((type) => error instanceof type)).toEqual(types.map((_, j) => i === j));
    });
    for (const other of [null, undefined, 'ERR_TIMEOUT', new Error('x'), { code: 'ERR_TIMEOUT' }]) {
      expect(other instanceof FairleadError).toBe(false);
      expect(errorCode(other)).toBeUndefined();
    }
  });

  it('is recognised by a second copy of the package', async () => {
    const copy = (await import(/* @vite-ignore */ `${'./errors.js'}?copy`)) as typeof import('./errors.js');
    expect(copy.TimeoutError).not.toBe(TimeoutError);
    const theirs = new copy.TimeoutError({ of: 'call', ms: 1 });
    expect([theirs instanceof TimeoutError, theirs instanceof FairleadError]).toEqual([true, true]);
    expect([theirs instanceof TransportError, theirs instanceof RejectedError]).toEqual([false, false]);
    expect(new TimeoutError({ of: 'call', ms: 1 }) instanceof copy.TimeoutError).toBe(true);
    expect(rejected('limit', null, 'm') instanceof copy.RejectedError).toBe(true);
  });

  it('can be derived from', () => {
    class QuotaError extends RejectedError {}
    class OtherError extends FairleadError {
      constructor() {
        super('ERR_OTHER', 'other', 'no');
      }
    }
    const quota = new QuotaError({ by: 'quota' });
    expect([quota instanceof QuotaError, quota instanceof RejectedError, quota instanceof OtherError]).toEqual([
      true,
      true,
      false,
    ]);
    expect(new RejectedError({ by: 'quota' }) instanceof QuotaError).toBe(false);
    const other = new OtherError();
    expect([other instanceof OtherError, other instanceof FairleadError, other instanceof RejectedError]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('each error', () => {
  it('a refusal says by whom and for how long, and rejected() makes it without a stack', () => {
    const limit = Error.stackTraceLimit;
    const error = rejected('limit', 'payments', 'payments: over the limit', 250);
    expect(error).toMatchObject({
      by: 'limit',
      service: 'payments',
      retryAfterMs: 250,
      message: 'payments: over the limit',
    });
    expect(error.stack).toBe('RejectedError: payments: over the limit');
    expect(Error.stackTraceLimit).toBe(limit);
    expect(rejected('drain', null, 'm').retryAfterMs).toBeNull();
    expect(new RejectedError({ by: 'drain' }).message).toBe('call: refused by drain');
  });

  it('a lack of endpoints is made without a stack by noEndpoint()', () => {
    const limit = Error.stackTraceLimit;
    const cause = new Error('dns is down');
    const error = noEndpoint({ service: 's', state: 'failed', detail: 'a detail', cause });
    expect(error).toBeInstanceOf(NoEndpointError);
    expect(error).toMatchObject({ state: 'failed', service: 's', sent: 'no', cause });
    expect(error.message).toBe('s: no endpoint, discovery failed and has never answered (a detail)');
    expect(error.stack).toBe(`NoEndpointError: ${error.message}`);
    expect(Error.stackTraceLimit).toBe(limit);
  });

  it('a lack of endpoints says why', () => {
    const message = (state: 'pending' | 'empty' | 'failed'): string =>
      new NoEndpointError({ service: 's', state }).message;
    expect(new Set([message('pending'), message('empty'), message('failed')]).size).toBe(3);
    const cause = new Error('dns');
    expect(new NoEndpointError({ service: 's', state: 'failed', cause }).cause).toBe(cause);
  });

  it('a transport failure says what it can, from little', () => {
    const bare = new TransportError({ phase: 'connect', sent: 'no' });
    expect(bare).toMatchObject({
      message: 'call: connect failed: failed',
      staleSocket: false,
      service: null,
      endpoint: null,
    });
    expect('cause' in bare).toBe(false);
    expect(new TransportError({ phase: 'body', sent: 'maybe', cause: new Error('cut') }).message).toBe(
      'call: body failed: cut',
    );
    expect(new TransportError({ phase: 'send', sent: 'maybe', message: 'm', staleSocket: true })).toMatchObject({
      message: 'call: send failed: m',
      staleSocket: true,
    });
  });

  it('a certificate of ours that was turned away says what it can, from little', () => {
    const cause = new Error('alert');
    const error = new TlsRejectedError({ message: 'closed', cause });
    expect(error).toMatchObject({ message: 'call: closed', service: null, endpoint: null, cause });
    expect('cause' in new TlsRejectedError({})).toBe(false);
  });

  it('a wrong configuration lists every problem, whatever the values are', () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const values = [1, 'a', undefined, circle, 10n, Symbol('s'), function named() {}, null, Number.NaN];
    const problems = values.map((value, i) => ({ name: `option${i}`, value, expected: 'something else' }));
    const error = new ConfigError(
      [...problems, { name: 'atempts', expected: 'a known name', didYouMean: 'attempts' }],
      'options',
    );
    expect(error.message.split('\n')).toEqual([
      'options: 10 problems',
      '  option0 = 1: expected something else',
      '  option1 = "a": expected something else',
      '  option2: expected something else',
      '  option3 = [object Object]: expected something else',
      '  option4 = 10: expected something else',
      '  option5 = Symbol(s): expected something else',
      '  option6 = function named: expected something else',
      '  option7 = null: expected something else',
      '  option8 = NaN: expected something else',
      '  atempts: expected a known name; did you mean attempts?',
    ]);
    expect(error.problems.length).toBe(10);
  });
});
