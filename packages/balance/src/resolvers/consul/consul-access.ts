/** @module How to reach Consul, and as whom, by the variables that its own tools read. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, type ConfigProblem, createEndpoint, type Endpoint } from '@fairlead/core';

/** The way to one Consul agent or server. */
export interface ConsulAccess {
  readonly server: Endpoint;
  /** For the transport, in PEM; null for what the system trusts. */
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    /** The name that the certificate of Consul is for, where it is not that in its address. */
    readonly servername?: string;
  } | null;
  /** The `Authorization` header of every query, for a proxy before Consul that wants one. Default none. */
  readonly authorization?: string | null;
  /** The namespace to ask in where nobody says one (Enterprise). */
  readonly namespace: string | null;
  /** Likewise the admin partition (Enterprise). */
  readonly partition: string | null;
  /**
   * The ACL token, null for none. Asked for every query, since tokens expire. What it throws is told as an error, and it
   * is asked again.
   */
  token(): string | null | Promise<string | null>;
}

/** Where {@link consulAccess} looks. */
export interface ConsulAccessOptions {
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Host and port, or an origin, instead of `CONSUL_HTTP_ADDR`. Default null. */
  readonly address?: string | null;
}

/**
 * Access by `CONSUL_HTTP_ADDR` (default `127.0.0.1:8500`; also `https://…` and `unix:///…`), `CONSUL_HTTP_SSL`,
 * `CONSUL_HTTP_TOKEN_FILE` (read for every query) or else `CONSUL_HTTP_TOKEN`, `CONSUL_HTTP_AUTH` (`user:password`),
 * `CONSUL_CACERT` or else the files in `CONSUL_CAPATH`, `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY` (read once),
 * `CONSUL_TLS_SERVER_NAME`, `CONSUL_NAMESPACE` and `CONSUL_PARTITION`. `CONSUL_HTTP_SSL_VERIFY=false` is refused.
 * @throws ConfigError that lists everything that is wrong; never with a token
 */
export function consulAccess(options: ConsulAccessOptions = {}): ConsulAccess {
  const { env = process.env, address = null } = options;
  const problems: ConfigProblem[] = [];
  const server = serverOf(env, address, problems);
  const tls: Record<string, string> = {};
  for (const [name, variable] of tlsFiles) {
    const file = env[variable] || null;
    const text = file === null ? null : attempt(variable, file, problems);
    if (text !== null) tls[name] = text;
  }
  if (tls.ca === undefined && env.CONSUL_CAPATH) {
    const ca = attempt('CONSUL_CAPATH', env.CONSUL_CAPATH, problems, everyPem);
    if (ca !== null) tls.ca = ca;
  }
  if (env.CONSUL_TLS_SERVER_NAME) tls.servername = env.CONSUL_TLS_SERVER_NAME;
  const verify = env.CONSUL_HTTP_SSL_VERIFY ?? '';
  if (/^(0|f|false)$/i.test(verify)) {
    // Who is not known to be Consul could say where requests go.
    const expected = 'nothing, or true: name its authority in CONSUL_CACERT instead';
    problems.push({ name: 'CONSUL_HTTP_SSL_VERIFY', value: verify, expected });
  }
  const authorization = authorizationOf(env.CONSUL_HTTP_AUTH, problems);
  const { CONSUL_HTTP_TOKEN_FILE: tokenFile, CONSUL_HTTP_TOKEN: given } = env;
  const token = tokenFile
    ? () => soundToken(readFileSync(tokenFile, 'utf8'), tokenFile)
    : () => (given ? soundToken(given, 'CONSUL_HTTP_TOKEN') : null);
  try {
    // Now rather than at the first query: a file that is not there is a mistake in the configuration.
    token();
  } catch (error) {
    const name = tokenFile ? 'CONSUL_HTTP_TOKEN_FILE' : 'CONSUL_HTTP_TOKEN';
    problems.push({ name, expected: `an ACL token (${(error as Error).message})` });
  }
  if (server === null || problems.length > 0) throw new ConfigError(problems, 'access to Consul');
  return {
    server,
    tls: Object.keys(tls).length === 0 ? null : tls,
    authorization,
    namespace: env.CONSUL_NAMESPACE || null,
    partition: env.CONSUL_PARTITION || null,
    token,
  };
}

const tlsFiles = [
  ['ca', 'CONSUL_CACERT'],
  ['cert', 'CONSUL_CLIENT_CERT'],
  ['key', 'CONSUL_CLIENT_KEY'],
] as const;

function serverOf(
  env: Readonly<Record<string, string | undefined>>,
  address: string | null,
  problems: ConfigProblem[],
): Endpoint | null {
  const given = address ?? (env.CONSUL_HTTP_ADDR || '127.0.0.1:8500');
  const tls = /^(1|t|true)$/i.test(env.CONSUL_HTTP_SSL ?? '');
  try {
    return createEndpoint(/^(https?|unix):/i.test(given) ? given : `${tls ? 'https' : 'http'}://${given}`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const name = address === null ? 'CONSUL_HTTP_ADDR' : 'address of Consul';
    const [problem] = error.problems;
    problems.push({ name, value: problem?.value, expected: 'a host and a port such as 127.0.0.1:8500, or an origin' });
    return null;
  }
}

/** A user alone has an empty password, as for Consul's own tools. The value is a secret: no message shows it. */
function authorizationOf(given: string | undefined, problems: ConfigProblem[]): string | null {
  if (!given) return null;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what cannot stand there
  if (/[\x00-\x1f\x7f]/.test(given)) {
    problems.push({ name: 'CONSUL_HTTP_AUTH', expected: 'user:password, without control characters' });
  }
  return `Basic ${Buffer.from(given.includes(':') ? given : `${given}:`).toString('base64')}`;
}

function attempt(
  variable: string,
  file: string,
  problems: ConfigProblem[],
  read: (file: string) => string = (file) => readFileSync(file, 'utf8'),
): string | null {
  try {
    const text = read(file);
    if (!text.includes('-----BEGIN ')) throw new Error('there is nothing in PEM form in it');
    return text;
  } catch (error) {
    problems.push({ name: variable, value: file, expected: `a file in PEM form (${(error as Error).message})` });
    return null;
  }
}

/** What is in the files of a folder, those that are hidden left out: Kubernetes keeps the same files there once more. */
function everyPem(folder: string): string {
  const files = readdirSync(folder, { withFileTypes: true }).filter((each) => !each.name.startsWith('.'));
  return files
    .filter((each) => !each.isDirectory())
    .map(({ name }) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
}

/** `text`, if it can go into a header. It is a secret: no message shows it. */
function soundToken(text: string, from: string): string {
  const token = text.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error(`there is no token in ${from}`);
  return token;
}
