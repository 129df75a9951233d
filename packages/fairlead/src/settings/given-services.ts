/** @module The services that code declares. */
import type { ConfigProblem } from '@fairlead/core';
import { type Given, readOptions } from './given.js';
import { withOwnBreakerNames } from './opossum-names.js';
import { redact } from './redaction.js';
import type { AnyTable } from './setting.js';

/** Names that every object has already. */
const inherited = ['__proto__', 'constructor', 'prototype'];

/**
 * Reads the services that code declares, each by its source alone or by an object with options.
 * @param problems gets everything that is wrong
 */
export function readServices(
  table: AnyTable,
  services: unknown,
  problems: ConfigProblem[],
): ReadonlyMap<string, Given> {
  const given = new Map<string, Given>();
  if (services === undefined) return given;
  if (typeof services !== 'object' || services === null || Array.isArray(services)) {
    problems.push({
      name: 'services',
      value: redact(services, false),
      expected: 'an object with a service for each name',
    });
    return given;
  }
  for (const [name, service] of Object.entries(services)) {
    if (service === undefined) continue;
    const owner = `services.${name}`;
    const options = isSource(service) ? { from: service } : withOwnBreakerNames(owner, service, problems);
    if (isHost(name)) given.set(name, readOptions(table, owner, options, problems));
    else problems.push({ name: `services.${name}`, ...wrongName(name) });
  }
  return given;
}

function isSource(service: unknown): boolean {
  return (
    typeof service === 'string' ||
    Array.isArray(service) ||
    typeof (Object(service) as { watch?: unknown }).watch === 'function'
  );
}

/** Whether a URL can name the service: as its host is written once it was parsed, in lower case. */
function isHost(name: string): boolean {
  return !inherited.includes(name) && hostOf(name) === name;
}

function hostOf(name: string): string | null {
  return URL.canParse(`http://${name}`) ? new URL(`http://${name}`).host : null;
}

function wrongName(name: string): Pick<ConfigProblem, 'expected' | 'didYouMean'> {
  const host = inherited.includes(name) ? null : hostOf(name);
  const didYouMean = host !== null && host.length === name.length ? host : null;
  return { expected: 'a name that the host of a URL can be, in lower case', didYouMean };
}
