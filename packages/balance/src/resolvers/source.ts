/** @module Where the endpoints of a service come from, written as text. */
import { ConfigError, type ConfigProblem, closest, type Resolver } from '@fairlead/core';
import { failover } from './compose/failover.js';
import { dns } from './dns/dns.js';
import { fileOf } from './file/file.js';
import { fixed, withoutCredentials } from './fixed.js';

/** Makes a resolver from a source such as `kubernetes://payments.prod:http`. @throws ConfigError if it is malformed */
export type SourceScheme = (source: string) => Resolver;

/** Schemes by name, without `://`. */
export type SourceSchemes = Readonly<Record<string, SourceScheme>>;

/** What {@link resolverOf} can be told. */
export interface SourceOptions {
  /** The option or variable that is read, for messages. Default `source`. */
  readonly name?: string;
  /** Schemes beyond `http`, `https`, `unix`, `file` and those of DNS. */
  readonly schemes?: SourceSchemes;
}

const builtIn: SourceSchemes = Object.freeze({
  dns: (source) => addresses(source, 'http'),
  'dns+http': (source) => addresses(source, 'http'),
  'dns+https': (source) => addresses(source, 'https'),
  'dns+srv': (source) => dns({ host: hostAndPort(source, false).host, type: 'srv', protocol: protocolOf(source) }),
  file: fileOf,
});

/**
 * Makes the resolver that a source describes:
 * - `http://10.0.0.5:8080`, or several such with commas between them or as a list: these and no others
 * - `unix:/run/payments.sock`, likewise: a Unix socket (`http+unix://%2Frun%2Fa%2Cb.sock` if there is a comma in its path)
 * - `dns://payments.prod.svc.cluster.local:8080`, `dns+http://…`, `dns+https://…`: every address of that name
 * - `dns+srv://_http._tcp.payments.prod.svc.cluster.local`: the targets of its SRV records, with https if the name begins
 *   with `_https.`
 * - whatever `schemes` adds
 * - several of these with `|` between them: {@link failover}, the first is preferred
 * @throws ConfigError that lists everything that is wrong, with the known schemes
 */
export function resolverOf(source: string | readonly string[], options: SourceOptions = {}): Resolver {
  const { name = 'source', schemes = {} } = options;
  const ranks = textOf(source).split('|');
  if (ranks.length > 1) return failover(allOf(ranks, (rank) => resolverOf(rank, options)));
  const known: SourceSchemes = { ...builtIn, ...schemes };
  const entries = entriesOf(source);
  if (entries.length === 0) throw wrong([{ name, value: source, expected: `a source: ${formsOf(known)}` }]);
  const problems = entries.flatMap((entry) => problemsOf(entry, name, known, entries.length));
  if (problems.length > 0) throw wrong(problems);
  const first = entries[0] as string;
  const scheme = known[schemeOf(first) as string];
  try {
    return scheme === undefined ? fixed(entries) : scheme(first);
  } catch (error) {
    // The value says what is meant; the name has to say where it stands.
    if (error instanceof ConfigError)
      throw wrong(error.problems.map((problem) => ({ ...problem, name: `${name}: ${problem.name}` })));
    throw error;
  }
}

function wrong(problems: readonly ConfigProblem[]): ConfigError {
  return new ConfigError(problems, 'where the endpoints come from');
}

/** What `make` makes of each. @throws ConfigError with the problems of all */
function allOf(texts: readonly string[], make: (text: string) => Resolver): readonly Resolver[] {
  const made: Resolver[] = [];
  const problems: ConfigProblem[] = [];
  for (const text of texts) {
    try {
      made.push(make(text));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw wrong(problems);
  return made;
}

function textOf(source: unknown): string {
  const list: unknown[] = Array.isArray(source) ? source : [source];
  return list.map((entry) => String(entry ?? '')).join(',');
}

function entriesOf(source: unknown): string[] {
  return textOf(source)
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** Schemes of single endpoints, which can be listed. */
const listed: ReadonlySet<string> = new Set(['http', 'https', 'unix', 'http+unix']);

function schemeOf(entry: string): string | null {
  return /^(?:(unix):\/|(file):|([a-z][a-z0-9+.-]*):\/\/)/i.exec(entry)?.slice(1).find(Boolean)?.toLowerCase() ?? null;
}

function formsOf(known: SourceSchemes): string {
  const schemes = ['http', 'https', ...Object.keys(known)].filter((scheme) => scheme !== 'file');
  return [...schemes.map((scheme) => `${scheme}://`), 'file:/path', 'unix:/path'].join(', ');
}

function problemsOf(entry: string, name: string, known: SourceSchemes, count: number): ConfigProblem[] {
  const scheme = schemeOf(entry);
  const value = withoutCredentials(entry);
  if (scheme === null) {
    return [{ name, value, expected: `a source: ${formsOf(known)}`, didYouMean: `http://${value}` }];
  }
  if (listed.has(scheme)) return [];
  if (!Object.hasOwn(known, scheme)) {
    const meant = closest(scheme, [...listed, ...Object.keys(known)]);
    const didYouMean = meant === null ? null : value.replace(/^[^:]+/, meant);
    return [{ name, value, expected: `a source: ${formsOf(known)}`, didYouMean }];
  }
  return count === 1
    ? []
    : [{ name, value, expected: 'to stand alone: only http://, https:// and unix:/ can be listed' }];
}

function addresses(source: string, protocol: 'http' | 'https'): Resolver {
  return dns({ ...hostAndPort(source, true), protocol });
}

function protocolOf(source: string): 'http' | 'https' {
  return /:\/\/_https\./i.test(source) ? 'https' : 'http';
}

/** The part after `://`: a name or an address (IPv6 in brackets), and a port where one may stand. */
function hostAndPort(source: string, withPort: boolean): { readonly host: string; readonly port?: number } {
  const match = /:\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?\/?$/i.exec(source);
  const host = match?.[1];
  const port = match?.[2];
  if (host === undefined || (port !== undefined && !withPort)) {
    throw new ConfigError([
      { name: 'source', value: withoutCredentials(source), expected: withPort ? 'dns://name:port' : 'dns+srv://name' },
    ]);
  }
  return port === undefined ? { host } : { host, port: Number(port) };
}
