// Catches: a Consul resolver that breaks the contract of all resolvers.
import { createEndpoint, type Resolver } from '@fairlead/core';
import { type ResolverSource, resolverConformance, type VirtualClock } from '@fairlead/testing';
import { describe, it } from 'vitest';
import { instanceAt, ScriptedConsul } from '../../../test/scripted-consul.js';
import { consul } from './consul.js';

class Catalog implements ResolverSource {
  readonly resolver: Resolver;
  readonly #consul: ScriptedConsul;
  constructor(clock: VirtualClock) {
    this.#consul = new ScriptedConsul(clock);
    const server = createEndpoint('http://127.0.0.1:8500');
    const access = { server, tls: null, namespace: null, partition: null, token: () => null };
    this.resolver = consul({ service: 'payments', access, handler: this.#consul.handler });
  }
  show(origins: readonly string[]): void {
    this.#consul.set(...origins.map((origin) => instanceAt(origin)));
  }
  fail(): void {
    this.#consul.stop();
  }
  garble(): void {
    this.#consul.say(200, '{"nonsense"');
  }
  hang(): void {
    this.#consul.freeze();
  }
  held(): number {
    return this.#consul.held;
  }
}

describe('consul', () => {
  for (const { name, run } of resolverConformance({ source: (clock) => new Catalog(clock) })) it(name, run);
});
