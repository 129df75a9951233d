// Catches: a resolver of this package that breaks the contract which a user's is checked against.
import { Scope, sleep } from '@fairlead/core';
import { type ResolverSource, resolverConformance, type VirtualClock } from '@fairlead/testing';
import { describe, it } from 'vitest';
import { type DnsOptions, dns } from './dns/dns.js';
import type { DnsAddress, DnsAsk, DnsService } from './dns/dns-ask.js';
import { fixed } from './fixed.js';

class List implements ResolverSource {
  #origins: readonly string[] = [];
  get resolver() {
    return fixed(this.#origins);
  }
  show(origins: readonly string[]): void {
    this.#origins = origins;
  }
}

/** A zone behind c-ares as it is: a server that does not answer is asked until c-ares gives up. */
class Zone implements ResolverSource, DnsAsk {
  readonly resolver;
  readonly #clock: VirtualClock;
  #state: readonly string[] | 'fail' | 'hang' = 'fail';
  #asking: Scope;

  constructor(clock: VirtualClock, type: DnsOptions['type']) {
    this.#clock = clock;
    this.#asking = new Scope(clock);
    this.resolver = dns({ host: 'payments.prod', type, ...(type === 'a' ? { port: 8080 } : {}), ask: this });
  }
  show(origins: readonly string[]): void {
    this.#state = origins;
  }
  fail(): void {
    this.#state = 'fail';
  }
  hang(): void {
    this.#state = 'hang';
  }
  async #ask<T>(record: (host: string, port: number) => T): Promise<readonly T[]> {
    const state = this.#state;
    if (state === 'hang') await sleep(this.#clock, 8_000, this.#asking);
    if (typeof state === 'string') throw Object.assign(new Error(state), { code: 'ESERVFAIL' });
    if (state.length === 0) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return state.map((origin) => record(new URL(origin).hostname, Number(new URL(origin).port)));
  }
  a(): Promise<readonly DnsAddress[]> {
    return this.#ask((address) => ({ address, ttl: 5 }));
  }
  async aaaa(): Promise<readonly DnsAddress[]> {
    return [];
  }
  srv(): Promise<readonly DnsService[]> {
    return this.#ask((name, port) => ({ name, port, priority: 1, weight: 1 }));
  }
  cancel(): void {
    this.#asking.cancel();
    this.#asking = new Scope(this.#clock);
  }
}

describe('fixed', () => {
  const cannot = ['change', 'empty', 'fail', 'garble', 'hang'] as const;
  for (const { name, run } of resolverConformance({ source: () => new List(), cannot })) it(name, run);
});

describe.each(['a', 'srv'] as const)('dns of type %s', (type) => {
  // What c-ares cannot read it tells as a failure.
  const source = (clock: VirtualClock) => new Zone(clock, type);
  for (const { name, run } of resolverConformance({ source, cannot: ['garble'] })) it(name, run);
});
