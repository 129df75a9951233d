/**
 * @module Reads the environment: `FAIRLEAD_<OPTION>`, `FAIRLEAD_INBOUND_<OPTION>`, `FAIRLEAD_SERVICE_<NAME>` for the source
 * of a service, and `FAIRLEAD_SERVICE_<NAME>_<OPTION>`. A variable that is none of these is a problem, since it is one that
 * somebody has set for nothing.
 */
import { readFileSync } from 'node:fs';
import { type ConfigProblem, closest } from '@fairlead/core';
import { looksLikeSource, source } from './compound-values.js';
import type { Given, GivenValue } from './given.js';
import { redact } from './redaction.js';
import { isServiceLink } from './service-links.js';
import { type SettingScope, settingsTables, type Tables, type Target, variablePrefix, variablesOf } from './tables.js';
import { type Found, findVariable, readVariable } from './variable.js';

/** What the environment says. */
export interface EnvironmentSettings {
  /** For each service that it declares or that was named, by the service's name. */
  readonly services: ReadonlyMap<string, Given>;
  /** For all services. */
  readonly everyService: Given;
  readonly client: Given;
  readonly inbound: Given;
  /** What is wrong with variables of single services; only who knows the services that code declares can tell. */
  readonly serviceProblems: readonly ConfigProblem[];
  /** Everything else that is wrong. */
  readonly problems: readonly ConfigProblem[];
}

/** Variables and what they are set to. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What {@link readEnvironment} can be told. */
export interface ReadEnvironmentOptions {
  /** The services that code declares. Default none. */
  readonly serviceNames?: readonly string[];
  /** Default: those of Fairlead. */
  readonly tables?: Tables;
  /** Reads the file that a `…_FILE` variable names; throws if it cannot. Default: from the disk, as UTF-8. */
  readonly readFile?: (path: string) => string;
}

/** What a service is called in variables: `order-history` is `ORDER_HISTORY`. */
export function variableName(service: string): string {
  return service.toUpperCase().replace(/[^A-Z0-9]/g, '_');
}

/** What a service is called that only a variable declares: like a host, whose name has no `_`. */
export function serviceName(variable: string): string {
  return variable.toLowerCase().replaceAll('_', '-');
}

/** Reads `env`, usually `process.env`. Never throws. An empty variable counts as not set. */
export function readEnvironment(env: Environment, options: ReadEnvironmentOptions = {}): EnvironmentSettings {
  return new EnvironmentReader(options).read(env);
}

const sourceKind = source();
const servicePrefix = 'SERVICE_';

class EnvironmentReader {
  readonly #variables: ReadonlyMap<string, readonly Target[]>;
  readonly #readFile: (path: string) => string;
  /** The services behind each name in variables; more than one is a collision. */
  readonly #names = new Map<string, string[]>();
  readonly #services = new Map<string, Map<string, GivenValue>>();
  readonly #scopes: Readonly<Record<SettingScope, Map<string, GivenValue>>> = {
    client: new Map(),
    service: new Map(),
    inbound: new Map(),
  };
  readonly #serviceProblems: ConfigProblem[] = [];
  readonly #problems: ConfigProblem[] = [];

  constructor(options: ReadEnvironmentOptions) {
    this.#variables = variablesOf(options.tables ?? settingsTables);
    this.#readFile = options.readFile ?? ((path) => readFileSync(path, 'utf8'));
    for (const name of options.serviceNames ?? []) this.#declare(variableName(name), name);
  }

  read(env: Environment): EnvironmentSettings {
    const ours: (readonly [name: string, text: string])[] = [];
    for (const [name, value] of Object.entries(env)) {
      const text = value?.trim() ?? '';
      if (name.startsWith(variablePrefix) && text !== '') ours.push([name, text]);
    }
    // Declarations first: whether a variable is an option of a service depends on which services there are.
    const rest = ours.filter(([name, text]) => !this.#readDeclaration(name, text));
    for (const [name, text] of rest) this.#readOption(name, text);
    return {
      services: this.#services,
      everyService: this.#scopes.service,
      client: this.#scopes.client,
      inbound: this.#scopes.inbound,
      serviceProblems: this.#serviceProblems,
      problems: this.#problems,
    };
  }

  #declare(variable: string, name: string): void {
    const names = this.#names.get(variable);
    if (names === undefined) this.#names.set(variable, [name]);
    else if (!names.includes(name)) names.push(name);
    if (!this.#services.has(name)) this.#services.set(name, new Map());
  }

  /** No option is written like a source, so that a source declares a service however the rest of its name reads. */
  #readDeclaration(name: string, text: string): boolean {
    const match = /^FAIRLEAD_SERVICE_([A-Z0-9][A-Z0-9_]*)$/.exec(name);
    if (match === null || !looksLikeSource(text) || isServiceLink(name, text)) return false;
    const variable = match[1] as string;
    if (!this.#names.has(variable)) this.#declare(variable, serviceName(variable));
    this.#setForService(variable, 'from', sourceKind.parse(text), name);
    return true;
  }

  #readOption(name: string, text: string): void {
    const variable = name.slice(variablePrefix.length);
    const found = findVariable(this.#variables, variable);
    if (found !== null) {
      this.#take(name, text, found, this.#problems, (value) => {
        for (const { scope, path } of found.targets) this.#set(this.#scopes[scope], path, value, name, this.#problems);
      });
      return;
    }
    const ofService = variable.startsWith(servicePrefix);
    if (ofService && this.#readServiceOption(name, variable.slice(servicePrefix.length), text)) return;
    if (isServiceLink(name, text)) return;
    if (ofService) this.#serviceProblems.push(this.#unknownService(name, variable.slice(servicePrefix.length), text));
    else this.#problems.push({ name, expected: 'a known variable', didYouMean: closest(name, this.#known()) });
  }

  /** False if the variable is no option of a declared service. */
  #readServiceOption(name: string, rest: string, text: string): boolean {
    const readings = [...this.#names.keys()].flatMap((variable) => {
      const found = rest.startsWith(`${variable}_`) ? this.#optionOfService(rest.slice(variable.length + 1)) : null;
      return found === null ? [] : [{ variable, found }];
    });
    const [reading, other] = readings;
    if (reading === undefined) return false;
    if (other !== undefined) {
      const meanings = readings.map(({ variable }) => `${rest.slice(variable.length + 1)} of ${variable}`).join(' or ');
      this.#serviceProblems.push({
        name,
        expected: `a name with one meaning, but it is ${meanings}; set that in code`,
      });
      return true;
    }
    const { variable, found } = reading;
    this.#take(name, text, found, this.#serviceProblems, (value) => {
      for (const { path } of found.targets) this.#setForService(variable, path, value, name);
    });
    return true;
  }

  #optionOfService(variable: string): Found | null {
    const found = findVariable(this.#variables, variable);
    const targets = found?.targets.filter(({ scope }) => scope === 'service') ?? [];
    return found === null || targets.length === 0 ? null : { ...found, targets };
  }

  #take(name: string, text: string, found: Found, problems: ConfigProblem[], set: (value: unknown) => void): void {
    const read = readVariable(name, text, found, this.#readFile);
    if ('problem' in read) problems.push(read.problem);
    else set(read.value);
  }

  #setForService(variable: string, path: string, value: unknown, by: string): void {
    const names = this.#names.get(variable) as string[];
    if (names.length === 1)
      this.#set(this.#services.get(names[0] as string) as never, path, value, by, this.#serviceProblems);
    else {
      const expected = `a name that means one service, but it is that of ${names.join(' and ')}; set that in code`;
      this.#serviceProblems.push({ name: by, expected });
    }
  }

  #set(given: Map<string, GivenValue>, path: string, value: unknown, by: string, problems: ConfigProblem[]): void {
    const before = given.get(path);
    if (before === undefined) given.set(path, { value, by });
    else problems.push({ name: by, expected: `that or ${before.by}, not both` });
  }

  #unknownService(name: string, rest: string, text: string): ConfigProblem {
    if (this.#names.has(rest)) return { name, value: redact(text, false), expected: sourceKind.expected };
    const didYouMean = closest(name, this.#known());
    if (didYouMean !== null) return { name, expected: 'a known variable', didYouMean };
    // The longest name for the service, and so the shortest option: the other way round would be no worse a guess.
    const cut = [...rest.matchAll(/_/g)]
      .map(({ index }) => index)
      .findLast((at) => this.#optionOfService(rest.slice(at + 1)));
    if (cut === undefined) return { name, expected: `a known variable, or ${sourceKind.expected}` };
    const declaration = `${variablePrefix}${servicePrefix}${rest.slice(0, cut)}`;
    return { name, expected: `an option of a known service: declare it in code, or by ${declaration}` };
  }

  /** Every variable that would have been understood. */
  #known(): string[] {
    const options = [...this.#variables.keys()];
    const ofServices = options.filter((variable) => this.#optionOfService(variable) !== null);
    const services = [...this.#names.keys()].map((name) => servicePrefix + name);
    const all = [...options, ...services, ...services.flatMap((name) => ofServices.map((each) => `${name}_${each}`))];
    return all.map((variable) => variablePrefix + variable);
  }
}
