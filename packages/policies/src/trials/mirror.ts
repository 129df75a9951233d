/** @module Sends a copy of some calls elsewhere, and lets nobody wait for it. */
import {
  type Call,
  check,
  checks,
  discard,
  type Handler,
  isOnce,
  type Middleware,
  named,
  type Reply,
  resolveOptions,
  Scope,
  Tried,
  withHeader,
} from '@fairlead/core';
import { isMode, type PolicyMode } from '../policy-mode.js';

/** Options of {@link mirror}. */
export interface MirrorOptions {
  /** Default `on`. In `shadow` it sends nothing and counts what it would have sent. */
  readonly mode: PolicyMode;
  /** Where copies go: the stack of another service. Has no default. */
  readonly to: Handler;
  /** The name of that service, for its stack and for events. Default `mirror`. */
  readonly service: string;
  /** Share of calls that are copied, from 0 to 1. Default 0.01. */
  readonly ratio: number;
  /** Copies that may be under way at the same time; one more is not made. From 1. Default 100. */
  readonly maxInFlight: number;
  /** How long a copy may take with its body, in ms. Default 10 000. */
  readonly timeoutMs: number;
  /** Whether calls are copied that are not idempotent. Default false: the other service may share a database. */
  readonly unsafe: boolean;
}

/** The defaults of {@link mirror}; `to` has none. */
export const mirrorDefaults: Readonly<Omit<MirrorOptions, 'to'>> = Object.freeze({
  mode: 'on',
  service: 'mirror',
  ratio: 0.01,
  maxInFlight: 100,
  timeoutMs: 10_000,
  unsafe: false,
});

/** On every copy, so that whoever gets it can tell. */
export const mirroredHeader = 'x-fairlead-mirrored';

/**
 * Makes a layer that sends a copy of a share of calls to another service, with real traffic and without effect: nobody waits
 * for a copy, its answer is discarded, its failure is told and otherwise ignored. A copy is no child of its call: it goes on
 * if the caller cancels, for at most `timeoutMs`, and is not traced with it.
 *
 * Bodies that can be sent once only are not copied. Stands per call, outside of retries and limits, which the copy does not
 * concern. Tells `mirror.ended`.
 * @throws ConfigError if an option is wrong or `to` is missing
 */
export function mirror(options: Partial<MirrorOptions> & Pick<MirrorOptions, 'to'>): Middleware {
  const given = resolveOptions<MirrorOptions>(
    'mirror',
    // So that a missing `to` is told together with everything else that is wrong.
    { ...options, to: options?.to ?? (null as never) },
    { ...mirrorDefaults, to: null as never },
    {
      mode: isMode,
      to: check('a handler', (v) => typeof v === 'function'),
      service: checks.text(),
      ratio: checks.ratio(),
      maxInFlight: checks.integer(1),
      timeoutMs: checks.ms(1),
      unsafe: checks.boolean(),
    },
  );
  const { mode, ratio, unsafe, maxInFlight } = given;
  if (mode === 'off' || ratio === 0) return named('mirror', (call, next) => next(call));
  let inFlight = 0;
  return named('mirror', (call: Call, next: Handler): Promise<Reply> => {
    if (!unsafe && !call.idempotent) return next(call);
    if (isOnce(call.body) || call.runtime.clock.random() >= ratio || inFlight >= maxInFlight) return next(call);
    if (mode === 'shadow') {
      call.runtime.on?.({ type: 'policy.shadowed', service: call.service, policy: 'mirror', would: 'send' });
    } else {
      inFlight++;
      // After the original has gone out: the copy must not delay it.
      queueMicrotask(() => {
        void copy(given, call).finally(() => inFlight--);
      });
    }
    return next(call);
  });
}

/** Never rejects. */
async function copy({ to, service, timeoutMs }: Readonly<MirrorOptions>, call: Call): Promise<void> {
  const { clock } = call.runtime;
  const scope = new Scope(clock);
  const at = clock.now();
  scope.expireAt(at + timeoutMs, 'call', timeoutMs, service);
  const headers = withHeader(call.headers, mirroredHeader, '1');
  let status: number | null = null;
  let error: unknown = null;
  try {
    const own = call.with({ service, scope, headers, at, endpoint: null, tried: new Tried(), attempt: 1, trace: null });
    const reply = await to(own);
    status = reply.status;
    discard(reply);
  } catch (thrown) {
    error = thrown;
  } finally {
    scope.close();
  }
  const event = { service: call.service, to: service, status, error, ms: clock.now() - at };
  call.runtime.on?.({ type: 'mirror.ended', ...event });
}
