/** @module Endpoints from a server that is asked over HTTP, in the form that Prometheus reads (`http_sd_configs`). */
import {
  type Checks,
  ConfigError,
  type ConfigProblem,
  check,
  checks,
  createEndpoint,
  type Endpoint,
  type Handler,
  optionProblems,
  type Resolver,
  type ResolverUpdate,
  type Runtime,
  resolveOptions,
  type Scope,
  type ScopeWatcher,
  Timer,
} from '@fairlead/core';
import { readDocument } from '../file/document.js';
import { HttpSdError, type HttpSdQuestion, isAuthorization, poll } from './http-sd-poll.js';

/** What {@link httpSd} needs to know. */
export interface HttpSdOptions {
  /** Where to ask: an http or https URL without user and password. */
  readonly url: string;
  /** Which service, in an answer with several. Default null: the answer is about one. */
  readonly service: string | null;
  /** Sends requests to `call.endpoint`, the server of `url`: a transport. */
  readonly handler: Handler;
  /** How often to ask, ±10 %, in ms. Default 30,000. */
  readonly refreshMs: number;
  /** Time for one answer until the end of its body, in ms. Default 10,000. */
  readonly timeoutMs: number;
  /** The shortest wait after a failure, in ms; twice as long after each further one. Default 1,000. */
  readonly minBackoffMs: number;
  /** The longest wait after failures, in ms. Default 60,000. */
  readonly maxBackoffMs: number;
  /** A longer answer is cut off, and is a failure. Default 16,777,216 (16 MiB). */
  readonly maxBytes: number;
  /** The `Authorization` header, such as `Bearer …`. Default null. */
  readonly authorization: string | null;
  /** A file with that header, read for every question. Default null. */
  readonly authorizationFile: string | null;
}

/** See {@link HttpSdOptions}. */
export const httpSdDefaults: Readonly<Omit<HttpSdOptions, 'url' | 'handler'>> = Object.freeze({
  service: null,
  refreshMs: 30_000,
  timeoutMs: 10_000,
  minBackoffMs: 1_000,
  maxBackoffMs: 60_000,
  maxBytes: 16_777_216,
  authorization: null,
  authorizationFile: null,
});

const expectedUrl = 'an http or https URL without user and password';
const isHeader = (value: unknown): boolean => typeof value === 'string' && isAuthorization(value);

const rules: Checks<HttpSdOptions> = {
  url: check(expectedUrl, (value) => urlOf(value) !== null),
  service: checks.orNull(checks.text()),
  handler: checks.fn('a handler'),
  refreshMs: checks.ms(10),
  timeoutMs: checks.ms(1),
  minBackoffMs: checks.ms(1),
  maxBackoffMs: checks.ms(1),
  maxBytes: checks.integer(1),
  authorization: checks.orNull(check('the value of an Authorization header', isHeader)),
  authorizationFile: checks.orNull(checks.text()),
};

/**
 * A resolver that asks an HTTP server for target groups (Prometheus' HTTP service discovery) or for a document of
 * Fairlead's own form, every `refreshMs`, ±10 % so that a fleet does not ask as one, and never two questions at a time. It
 * says how often it asks (`X-Prometheus-Refresh-Interval-Seconds`), and asks by `ETag` for what is new only.
 *
 * An answer without endpoints is one: nobody. Everything else that is not a whole, right answer with status 200 and content
 * type `application/json` (or 304) is told as an error and leaves the last good answer in force; the next question follows
 * after a backoff with full jitter, or after `Retry-After`, at most `maxBackoffMs`. Redirects are not followed.
 * @throws ConfigError on unknown, missing or wrong options; never with a password or the header in it
 */
export function httpSd(options: Partial<HttpSdOptions> & Pick<HttpSdOptions, 'url' | 'handler'>): Resolver {
  // Null rather than undefined, which would count as not given.
  const given = { ...options, url: options.url ?? null, handler: options.handler ?? null } as HttpSdOptions;
  const problems = optionProblems('httpSd', given, rules).map(withoutSecrets);
  if (problems.length > 0) throw new ConfigError(problems, 'options of httpSd');
  const settings = resolveOptions<HttpSdOptions>('httpSd', given, { ...httpSdDefaults, ...given }, rules);
  const { service } = settings;
  const { origin, pathname, search } = urlOf(settings.url) as URL;
  const question = { ...settings, server: createEndpoint(origin), path: pathname + search };
  // What a query says may be a secret.
  const name = `http-sd+${origin}${pathname}${service === null ? '' : `#${encodeURIComponent(service)}`}`;
  return {
    name,
    watch(tell, scope, runtime) {
      new HttpSdWatch(question, name, tell, scope, runtime).fire();
    },
  };
}

/**
 * Reads `http-sd+http://host/path` and `http-sd+https://host/path`, with `#payments` for one of several services. The
 * `Authorization` header is in the file that `HTTP_SD_AUTHORIZATION_FILE` names, or else in `HTTP_SD_AUTHORIZATION`.
 * @param env the variables; default `process.env`
 * @throws ConfigError if it is not such a source
 */
export function httpSdOf(
  source: string,
  handler: Handler,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Resolver {
  const [, url = '', fragment] = /^http-sd\+(https?:[^#]*)(?:#(.*))?$/is.exec(source) ?? [];
  return httpSd({
    url,
    handler,
    service: fragment === undefined ? null : decoded(fragment),
    authorization: env.HTTP_SD_AUTHORIZATION || null,
    authorizationFile: env.HTTP_SD_AUTHORIZATION_FILE || null,
  });
}

/** One watch. Its timer is the next question, so there is never more than one under way. */
class HttpSdWatch extends Timer implements ScopeWatcher {
  override background = true;
  readonly #question: Readonly<HttpSdOptions> & HttpSdQuestion;
  readonly #name: string;
  readonly #tell: (update: ResolverUpdate) => void;
  readonly #scope: Scope;
  readonly #runtime: Runtime;
  /** What was answered last, and the tag of that answer. */
  #known: readonly Endpoint[] | null = null;
  #tag: string | null = null;
  #failures = 0;

  constructor(
    question: Readonly<HttpSdOptions> & HttpSdQuestion,
    name: string,
    tell: (update: ResolverUpdate) => void,
    scope: Scope,
    runtime: Runtime,
  ) {
    super();
    this.#question = question;
    this.#name = name;
    this.#tell = tell;
    this.#scope = scope;
    this.#runtime = runtime;
    scope.watch(this);
  }

  fire(): void {
    if (!this.#scope.canceled) void this.#round();
  }

  /** @internal The question under way is a child of the scope: it has ended already. */
  onCancel(): void {
    this.#runtime.clock.disarm(this);
  }

  async #round(): Promise<void> {
    try {
      const answer = await poll(this.#question, this.#tag, this.#scope, this.#runtime);
      if (this.#scope.canceled) return;
      // Kept together, and only if all of it is right: a tag without its endpoints would never be answered in full again.
      if (answer !== null) {
        this.#known = readDocument(answer.bytes, this.#question.service, 'the answer');
        this.#tag = answer.tag;
      }
      this.#answered(this.#known as readonly Endpoint[]);
    } catch (error) {
      if (!this.#scope.canceled) this.#failed(error as Error);
    }
  }

  /** Told although it may be no news: that it still holds is worth to be known. */
  #answered(endpoints: readonly Endpoint[]): void {
    this.#failures = 0;
    this.#again(this.#question.refreshMs * (0.9 + 0.2 * this.#runtime.clock.random()));
    this.#tell({ endpoints });
  }

  #failed(cause: Error): void {
    const { minBackoffMs, maxBackoffMs } = this.#question;
    const capMs = Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(this.#failures++, 31));
    // Full jitter (Brooker, 2015), but never at once: a server that is down should not be asked in a loop.
    const backoffMs = Math.max(minBackoffMs / 10, this.#runtime.clock.random() * capMs);
    const wantedMs = cause instanceof HttpSdError ? (cause.retryAfterMs ?? 0) : 0;
    this.#again(Math.min(backoffMs + wantedMs, maxBackoffMs));
    this.#tell({ error: new Error(`${this.#name}: ${cause.message}`, { cause }) });
  }

  #again(ms: number): void {
    const { clock } = this.#runtime;
    clock.arm(this, clock.now() + ms);
  }
}

function urlOf(value: unknown): URL | null {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.hash !== '') return null;
  return url.username === '' && url.password === '' ? url : null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** As it may be logged. */
function withoutSecrets({ value, ...problem }: ConfigProblem): ConfigProblem {
  if (problem.name === 'httpSd.authorization') return problem;
  return {
    ...problem,
    value: typeof value === 'string' ? value.replace(/\/\/.*@/s, '//***@').replace(/\?.*/s, '') : value,
  };
}
