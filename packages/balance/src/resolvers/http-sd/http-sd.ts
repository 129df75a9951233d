/** @module Endpoints from a server that is asked over HTTP, in the form that Prometheus reads (`http_sd_configs`). */
import {
  type Checks,
  ConfigError,
  type ConfigProblem,
  check,
  checks,
  createEndpoint,
  type Handler,
  optionProblems,
  type Resolver,
  resolveOptions,
} from '@fairlead/core';
import { Watches } from '../watches.js';
import { isAuthorization } from './http-sd-poll.js';
import { HttpSdWatch } from './http-sd-watch.js';

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
  const problems = optionProblems('httpSd', given, rules).map(safely);
  if (problems.length > 0) throw new ConfigError(problems, 'options of httpSd');
  const { handler } = given;
  const settings = resolveOptions('httpSd', given, { ...httpSdDefaults, url: given.url, handler }, rules);
  const { service } = settings;
  const { origin, pathname, search } = urlOf(settings.url) as URL;
  const question = { ...settings, server: createEndpoint(origin), path: pathname + search };
  const name = withoutSecrets(`http-sd+${settings.url}${service === null ? '' : `#${encodeURIComponent(service)}`}`);
  const watches = new Watches();
  return {
    name,
    refresh: () => watches.refresh(),
    watch(tell, scope, runtime) {
      watches.add(new HttpSdWatch(question, name, tell, scope, runtime), scope).fire();
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

/** As it may be logged: also a URL that was refused for the password in it. */
function safely({ value, ...problem }: ConfigProblem): ConfigProblem {
  if (problem.name === 'httpSd.authorization') return problem;
  return { ...problem, value: typeof value === 'string' ? withoutSecrets(value.replace(/\/\/.*@/s, '//***@')) : value };
}

/** Without the values of parameters that sound like secrets. The others tell one source from another. */
function withoutSecrets(url: string): string {
  return url.replace(/([?&][^=&#]*(?:token|key|password|secret|signature)[^=&#]*=)[^&#]*/gi, '$1***');
}
