/**
 * @module Every error that Fairlead makes. They are told apart by `code`, and by a brand that two copies of this package
 * share, so that `instanceof` also holds across copies.
 */

const brand: unique symbol = Symbol.for('fairlead.error.v1') as never;

/** Whether a request may have reached the other side: `no` is a proof, `maybe` is everything else. */
export type Sent = 'no' | 'maybe';

/** One failed try, as kept on the last error of a call. */
export interface FailedAttempt {
  /** 1 for the first try. */
  readonly attempt: number;
  /** Id of the endpoint, if one had been chosen. */
  readonly endpoint: string | null;
  /** The error, if the try ended in one. */
  readonly error: unknown;
  /** The status of the reply, if the try ended in one. */
  readonly status: number | null;
}

/** What all of Fairlead's errors have in common. */
export class FairleadError extends Error {
  /** Stable identifier, `ERR_…`. */
  readonly code: string;
  /** Whether the request may have been sent; decides whether it is safe to send it again. */
  sent: Sent;
  /** The service that was called, where known. */
  service: string | null = null;
  /** The id of the endpoint that was tried, where one was. */
  endpoint: string | null = null;
  /** What was tried before this error was given up with, oldest first. Empty for a first attempt. */
  attempts: readonly FailedAttempt[] = [];
  /** @internal */
  readonly [brand]: string;

  constructor(code: string, message: string, sent: Sent, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.sent = sent;
    this[brand] = code;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false;
    const code = (value as { [brand]?: string })[brand];
    if (code === undefined) return false;
    const own = codes.get(this);
    // A subclass that a user derived has no code of its own: the prototype chain decides there.
    if (own === undefined) return Function.prototype[Symbol.hasInstance].call(this, value);
    return own === '*' || own === code;
  }
}

/** What refused a call. */
export type RejectedBy =
  | 'breaker'
  | 'limit'
  | 'pace'
  | 'throttle'
  | 'concurrency'
  | 'budget'
  | 'drain'
  | 'health'
  | (string & {});

/** A gate refused the call before it was sent. */
export class RejectedError extends FairleadError {
  readonly by: RejectedBy;
  /** How long to stay away, in ms, where the gate knows. */
  readonly retryAfterMs: number | null;

  constructor(options: { by: RejectedBy; message?: string; service?: string | null; retryAfterMs?: number | null }) {
    const service = options.service ?? null;
    super('ERR_REJECTED', options.message ?? `${service ?? 'call'}: refused by ${options.by}`, 'no');
    this.by = options.by;
    this.service = service;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/**
 * A {@link RejectedError} without a stack trace. Refusals are the hot path of an overloaded process, capturing a stack
 * is most of what an error costs, and the stack of a refusal says nothing that `by` does not.
 */
export function rejected(
  by: RejectedBy,
  service: string | null,
  message: string,
  retryAfterMs: number | null = null,
): RejectedError {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new RejectedError({ by, service, message, retryAfterMs });
  Error.stackTraceLimit = limit;
  return error;
}

/** What a {@link NoEndpointError} is made of. */
export interface NoEndpointInit {
  readonly service: string;
  readonly state: 'pending' | 'empty' | 'failed';
  /** What else is to be said, for the message. */
  readonly detail?: string;
  readonly cause?: unknown;
}

/** Nobody to send to: discovery has not answered yet, knows of nobody, or failed before it ever answered. */
export class NoEndpointError extends FairleadError {
  readonly state: 'pending' | 'empty' | 'failed';

  constructor(options: NoEndpointInit) {
    const why =
      options.state === 'pending'
        ? 'discovery has not answered yet'
        : options.state === 'empty'
          ? 'the service has no endpoints'
          : 'discovery failed and has never answered';
    const detail = options.detail === undefined ? '' : ` (${options.detail})`;
    super('ERR_NO_ENDPOINT', `${options.service}: no endpoint, ${why}${detail}`, 'no', causeOf(options.cause));
    this.state = options.state;
    this.service = options.service;
  }
}

/**
 * A {@link NoEndpointError} without a stack trace, for the same reason as that of {@link rejected}: a process whose
 * endpoints are all gone refuses every call.
 */
export function noEndpoint(init: NoEndpointInit): NoEndpointError {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new NoEndpointError(init);
  Error.stackTraceLimit = limit;
  return error;
}

/** Where in the exchange the transport failed. */
export type TransportPhase = 'connect' | 'send' | 'wait' | 'body' | 'closed';

/** The connection failed, was cut, or said something that is not HTTP. */
export class TransportError extends FairleadError {
  readonly phase: TransportPhase;
  /** True if the request died on a kept-alive connection before any byte of an answer. */
  readonly staleSocket: boolean;

  constructor(options: {
    phase: TransportPhase;
    sent: Sent;
    service?: string | null;
    endpoint?: string | null;
    message?: string;
    staleSocket?: boolean;
    cause?: unknown;
  }) {
    const cause = options.cause as { code?: unknown; message?: unknown } | undefined;
    const detail = options.message ?? cause?.code ?? cause?.message ?? 'failed';
    const at = options.endpoint ? ` at ${options.endpoint}` : '';
    super(
      'ERR_TRANSPORT',
      `${options.service ?? 'call'}: ${options.phase} failed${at}: ${String(detail)}`,
      options.sent,
      causeOf(options.cause),
    );
    this.phase = options.phase;
    this.service = options.service ?? null;
    this.endpoint = options.endpoint ?? null;
    this.staleSocket = options.staleSocket ?? false;
  }
}

/**
 * The other side did not accept our certificate, as far as can be told: TLS 1.3 lets it say so only after the handshake. Not
 * tried again: every endpoint would say the same.
 */
export class TlsRejectedError extends FairleadError {
  constructor(options: {
    service?: string | null;
    endpoint?: string | null;
    message?: string;
    cause?: unknown;
  }) {
    const { service = null, endpoint = null, message = 'refused the TLS handshake' } = options;
    const who = endpoint === null ? '' : `${endpoint} `;
    super('ERR_TLS_REJECTED', `${service ?? 'call'}: ${who}${message}`, 'maybe', causeOf(options.cause));
    this.service = service;
    this.endpoint = endpoint;
  }
}

/** Whose time ran out: that of one attempt, or that of the whole call. */
export type TimeoutOf = 'attempt' | 'call';

/** Time ran out. */
export class TimeoutError extends FairleadError {
  readonly of: TimeoutOf;
  /** The limit that was exceeded, in ms. */
  readonly ms: number;

  constructor(options: { of: TimeoutOf; ms: number; service?: string | null; endpoint?: string | null }) {
    const what = options.of === 'attempt' ? 'no answer from this attempt' : 'the call did not finish';
    const whose = options.service ? `${options.service}: ` : '';
    super('ERR_TIMEOUT', `${whose}${what} within ${Math.round(options.ms)} ms`, 'maybe');
    this.of = options.of;
    this.ms = options.ms;
    this.service = options.service ?? null;
    this.endpoint = options.endpoint ?? null;
  }
}

/** The caller does not want the answer any more. */
export class CanceledError extends FairleadError {
  constructor(options: { message?: string; cause?: unknown } = {}) {
    super('ERR_CANCELED', options.message ?? 'the call was canceled', 'maybe', causeOf(options.cause));
  }
}

/** One thing that is wrong with a configuration. */
export interface ConfigProblem {
  /** The option or variable. */
  readonly name: string;
  /** What was given; secrets are redacted before they get here. */
  readonly value?: unknown;
  /** What would have been right. */
  readonly expected: string;
  /** The name or value that was probably meant. */
  readonly didYouMean?: string | null;
}

/** A configuration is wrong. Lists every problem at once; nothing of the configuration was applied. */
export class ConfigError extends FairleadError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], what = 'configuration') {
    const lines = problems.map(describeProblem);
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    super('ERR_CONFIG', `${what}: ${count}\n${lines.join('\n')}`, 'no');
    this.problems = problems;
  }
}

function describeProblem(problem: ConfigProblem): string {
  const given = problem.value === undefined ? '' : ` = ${show(problem.value)}`;
  const hint = problem.didYouMean ? `; did you mean ${problem.didYouMean}?` : '';
  return `  ${problem.name}${given}: expected ${problem.expected}${hint}`;
}

function show(value: unknown): string {
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  // A number too: JSON has no NaN and no Infinity, and would say null.
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function causeOf(cause: unknown): ErrorOptions | undefined {
  return cause === undefined ? undefined : { cause };
}

const codes = new Map<unknown, string>([
  [FairleadError, '*'],
  [RejectedError, 'ERR_REJECTED'],
  [NoEndpointError, 'ERR_NO_ENDPOINT'],
  [TransportError, 'ERR_TRANSPORT'],
  [TlsRejectedError, 'ERR_TLS_REJECTED'],
  [TimeoutError, 'ERR_TIMEOUT'],
  [CanceledError, 'ERR_CANCELED'],
  [ConfigError, 'ERR_CONFIG'],
]);

for (const [type] of codes) {
  const { name, prototype } = type as { name: string; prototype: object };
  Object.defineProperty(prototype, 'name', { value: name, writable: true, configurable: true });
}

/** The code of one of our errors, whichever copy of this package made it; otherwise undefined. */
export function errorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null ? (error as { [brand]?: string })[brand] : undefined;
}
