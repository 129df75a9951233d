/**
 * @module Settings as they hold: code before environment (a service's own variables before those for all services) before
 * defaults. Everything that is wrong anywhere is told in one error, and then nothing holds.
 */
import { resolverOf, type SourceSchemes } from '@fairlead/balance';
import { ConfigError, type ConfigProblem } from '@fairlead/core';
import type { ClientOptions, ClientSettings } from './client-settings.js';
import { withDerived } from './derived.js';
import { type Environment, type ReadEnvironmentOptions, readEnvironment, variableName } from './environment.js';
import { readOptions } from './given.js';
import { readServices } from './given-services.js';
import type { InboundOptions, InboundSettings } from './inbound-settings.js';
import { mergeLayers, type Resolved } from './merge.js';
import { withOwnBreakerNames } from './opossum-names.js';
import { policyProblems } from './policy-problems.js';
import { redact } from './redaction.js';
import { inboundRules, ruleProblems, serviceRules } from './rules.js';
import type { ServiceSettings } from './service-settings.js';
import { settingsTables, variablePrefix } from './tables.js';

export type { ClientOptions };

/** Where the endpoints come from is no matter of all services. */
const { from: _, ...sharedTable } = settingsTables.service;

/** The settings of a client. */
export interface ResolvedClient {
  readonly client: Resolved<ClientSettings>;
  /** By name; those that code declares first. */
  readonly services: ReadonlyMap<string, Resolved<ServiceSettings>>;
}

/** What {@link resolveClient} and {@link resolveInbound} can be told. */
export interface ResolveOptions extends Pick<ReadEnvironmentOptions, 'readFile'> {
  /** Schemes of sources beyond those of `@fairlead/balance`; they are only asked whether they understand a source. */
  readonly schemes?: SourceSchemes;
}

/**
 * The settings of a client and all of its services.
 * @param options what code gives
 * @param env usually `process.env`
 * @throws ConfigError with everything that is wrong in options and environment
 */
export function resolveClient(
  options: ClientOptions | undefined,
  env: Environment,
  { readFile, schemes }: ResolveOptions = {},
): ResolvedClient {
  const { client: clientTable, service: serviceTable } = settingsTables;
  const problems: ConfigProblem[] = [];
  const code = readOptions(clientTable, 'client', options, problems, ['services', 'defaults']);
  const ofAll = withOwnBreakerNames('defaults', Object(options).defaults, problems);
  const defaults = readOptions(sharedTable, 'defaults', ofAll, problems, [], 'code defaults');
  const given = readServices(serviceTable, Object(options).services, problems);
  const environment = readEnvironment(env, { ...(readFile && { readFile }), serviceNames: [...given.keys()] });
  problems.push(...environment.problems, ...environment.serviceProblems);

  const services = new Map<string, Resolved<ServiceSettings>>();
  for (const name of new Set([...given.keys(), ...environment.services.keys()])) {
    const layers = [given.get(name), defaults, environment.services.get(name), environment.everyService];
    const resolved = mergeLayers<ServiceSettings>(
      serviceTable,
      layers.filter((layer) => layer !== undefined),
    );
    services.set(name, withDerived(resolved));
    problems.push(...sourceProblems(name, resolved, schemes, problems));
    problems.push(...ruleProblems(serviceTable, `services.${name}`, resolved, serviceRules));
  }
  problems.push(...policyProblems(services));
  refuse(problems);
  return { client: mergeLayers<ClientSettings>(clientTable, [code, environment.client]), services };
}

/**
 * The settings of a guard. Variables of single services are left to clients, who know which services there are.
 * @throws ConfigError with everything that is wrong in options and environment
 */
export function resolveInbound(
  options: InboundOptions | undefined,
  env: Environment,
  { readFile }: ResolveOptions = {},
): Resolved<InboundSettings> {
  const table = settingsTables.inbound;
  const problems: ConfigProblem[] = [];
  const code = readOptions(table, 'guard', options, problems);
  const environment = readEnvironment(env, { ...(readFile && { readFile }) });
  const resolved = mergeLayers<InboundSettings>(table, [code, environment.inbound]);
  problems.push(...environment.problems, ...ruleProblems(table, 'guard', resolved, inboundRules));
  refuse(problems);
  return resolved;
}

/** What is wrong with the source of a service; nothing if `known` says already why it has none. */
function sourceProblems(
  service: string,
  { values: { from }, sources }: Resolved<ServiceSettings>,
  schemes: SourceSchemes = {},
  known: readonly ConfigProblem[],
): ConfigProblem[] {
  const option = `services.${service}.from`;
  const variable = `${variablePrefix}SERVICE_${variableName(service)}`;
  if (from === undefined) {
    if (known.some(({ name }) => name === option || name === variable || name === `services.${service}`)) return [];
    return [{ name: option, expected: `a source of endpoints such as dns://${service}:8080, here or in ${variable}` }];
  }
  if (typeof from === 'object' && 'watch' in from) return [];
  try {
    resolverOf(from, { name: sources.from === 'code' ? option : variable, schemes });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ name, value, expected, didYouMean = null }) => ({
      name,
      value: redact(value, false),
      expected,
      didYouMean: didYouMean === null ? null : String(redact(didYouMean, false)),
    }));
  }
}

function refuse(problems: readonly ConfigProblem[]): void {
  if (problems.length === 0) return;
  // What is set for all services is wrong for each of them, and told once.
  const told = new Map(problems.map((each) => [`${each.name} ${each.expected}`, each]));
  throw new ConfigError([...told.values()]);
}
