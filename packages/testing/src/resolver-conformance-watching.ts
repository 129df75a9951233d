/** @module What a conformance check sees of a resolver: everything that it tells, checked as it comes. */
import { createEndpoint, type Endpoint, Scope, sleep, systemClock } from '@fairlead/core';
import { checkLeaks } from './leaks.js';
import type { ResolverConformanceOptions, ResolverInability, ResolverSource } from './resolver-conformance-source.js';
import type { VirtualClock } from './virtual-clock.js';

/** @internal One check, and what the source must be able to do for it. */
export interface Check {
  readonly name: string;
  readonly needs: readonly ResolverInability[];
  readonly run: (watching: Watching) => Promise<void>;
}

/** @internal One watch, and what it was told. */
export class Watch {
  readonly scope: Scope;
  /** The snapshots, each by origin, with a copy of what it looked like. */
  readonly snapshots: { readonly endpoints: readonly Endpoint[]; readonly copy: string }[] = [];
  readonly errors: Error[] = [];
  /** What was told, for messages. */
  readonly log: string[] = [];
  /** What was wrong with something that was told. */
  readonly faults: string[] = [];

  constructor(clock: VirtualClock) {
    this.scope = new Scope(clock);
  }

  /** The latest snapshot, by origin; null before the first. */
  get last(): readonly string[] | null {
    const snapshot = this.snapshots.at(-1);
    return snapshot === undefined ? null : originsOf(snapshot.endpoints);
  }

  get told(): number {
    return this.log.length;
  }

  shows(origins: readonly string[]): boolean {
    return this.last !== null && same(this.last, origins);
  }

  /** Gets what the resolver tells. */
  take(update: unknown): void {
    if (this.scope.canceled) this.faults.push('it told something after its scope had ended');
    const { endpoints, error } = Object(update) as { endpoints?: unknown; error?: unknown };
    if (Array.isArray(endpoints) && error === undefined) {
      this.snapshots.push({ endpoints, copy: copyOf(endpoints) });
      this.log.push(`[${originsOf(endpoints).join(', ')}]`);
      for (const endpoint of endpoints) this.#look(endpoint);
    } else if (error instanceof Error && endpoints === undefined) {
      this.errors.push(error);
      this.log.push(`error "${error.message}"`);
    } else this.faults.push(`it told neither { endpoints: [...] } nor { error: Error }: ${String(update)}`);
  }

  #look(endpoint: Endpoint): void {
    try {
      const { origin, id } = createEndpoint(endpoint.origin, endpoint);
      const { zone, priority, attributes } = endpoint;
      if (origin !== endpoint.origin || typeof id !== 'string' || id === '')
        throw new Error('its origin or id is wrong');
      if (zone !== null && typeof zone !== 'string') throw new Error('zone is neither a string nor null');
      if (!Number.isFinite(priority)) throw new Error('priority is no number');
      if (Object(attributes) !== attributes) throw new Error('attributes is no object');
    } catch (problem) {
      this.faults.push(`it told something that is no endpoint (use createEndpoint): ${(problem as Error).message}`);
    }
  }
}

/** @internal The source and the watches of one check. */
export class Watching {
  readonly source: ResolverSource;
  readonly clock: VirtualClock;
  /** Three origins. */
  readonly origins: readonly [string, string, string];
  readonly #cannot: ReadonlySet<ResolverInability>;
  readonly #withinMs: number;
  readonly #outsideMs: number;
  readonly #watches: Watch[] = [];
  readonly #true: (readonly string[])[] = [];

  constructor(source: ResolverSource, clock: VirtualClock, options: ResolverConformanceOptions) {
    this.source = source;
    this.clock = clock;
    this.origins = options.origins ?? ['http://10.0.0.1:8080', 'http://10.0.0.2:8080', 'http://10.0.0.3:8080'];
    this.#cannot = new Set(options.cannot ?? []);
    this.#withinMs = options.withinMs ?? 120_000;
    this.#outsideMs = options.outsideMs ?? 0;
  }

  async show(...origins: readonly string[]): Promise<void> {
    // Noted first: a source may tell its watchers before it comes back.
    this.#true.push(origins);
    await this.source.show(origins);
  }

  /** Starts a watch. A resolver that throws is at fault. */
  watch(onTold: (watch: Watch) => void = () => {}, scopeEnded = false): Watch {
    const watch = new Watch(this.clock);
    if (scopeEnded) watch.scope.cancel();
    this.#watches.push(watch);
    try {
      const tell = (update: unknown): void => {
        watch.take(update);
        onTold(watch);
      };
      const result: unknown = this.source.resolver.watch(tell, watch.scope, { clock: this.clock });
      if (result instanceof Promise) result.catch((error) => watch.faults.push(`watch() rejected: ${error}`));
    } catch (error) {
      watch.faults.push(`watch() threw: ${error}`);
    }
    return watch;
  }

  /** Starts a watch and waits until it knows these. */
  async knows(...origins: readonly string[]): Promise<Watch> {
    await this.show(...origins);
    const watch = this.watch();
    await this.until(watch, () => watch.shows(origins), `a snapshot of ${nameOf(origins)}`);
    return watch;
  }

  /** Lets time pass until `condition` holds. @throws Error that says what was told instead */
  async until(watch: Watch, condition: () => boolean, what: string, withinMs: number = this.#withinMs): Promise<void> {
    const met = await this.#pass(withinMs, this.#outsideMs, condition);
    this.#complain(watch);
    if (!met) throw new Error(`expected ${what} within ${withinMs} ms; ${story(watch)}`);
  }

  /** Whether the source has this state. */
  can(ability: ResolverInability): boolean {
    return !this.#cannot.has(ability);
  }

  /** Lets so much time pass that whatever wants to happen does. */
  async pass(): Promise<void> {
    await this.#pass(this.#withinMs, this.#outsideMs / 10, () => false);
  }

  async #pass(withinMs: number, outsideMs: number, done: () => boolean): Promise<boolean> {
    const { clock } = this;
    const untilMs = clock.now() + withinMs;
    if (outsideMs === 0) {
      // Time moves at least to the next timer, and in steps no longer than a hundredth: a check should not overlook what
      // holds for a while only.
      for (;;) {
        await clock.advance(0);
        if (done()) return true;
        if (clock.now() >= untilMs) return false;
        await clock.advance(Math.min(withinMs / 100, untilMs - clock.now()));
      }
    }
    const startMs = systemClock.now();
    for (;;) {
      const share = Math.min(1, (systemClock.now() - startMs) / outsideMs);
      await clock.advance(Math.max(0, untilMs - withinMs * (1 - share) - clock.now()));
      if (done()) return true;
      if (share === 1) return false;
      await sleep(systemClock, 4);
    }
  }

  /** Ends everything, and looks whether something is left. */
  async end(): Promise<void> {
    for (const { scope } of this.#watches) scope.cancel();
    const clean = (): boolean => this.clock.pending === 0 && (this.source.held?.() ?? 0) === 0;
    await this.#pass(0, this.#outsideMs, clean);
    await this.clock.advance(0);
    checkLeaks({ clock: this.clock, scopes: this.#watches.map(({ scope }) => scope) });
    const held = this.source.held?.() ?? 0;
    if (held > 0) throw new Error(`left behind: ${held} thing(s) held at the source`);
    await this.pass();
    for (const watch of this.#watches) this.#complain(watch);
  }

  #complain(watch: Watch): void {
    const [fault] = watch.faults;
    if (fault !== undefined) throw new Error(`${fault}; ${story(watch)}`);
    for (const { endpoints, copy } of watch.snapshots) {
      if (copyOf(endpoints) !== copy) throw new Error(`a snapshot was changed after it had been told; ${story(watch)}`);
      const origins = originsOf(endpoints);
      if (!this.#true.some((shown) => same(shown, origins))) {
        throw new Error(`[${origins.join(', ')}] was never all that there is; ${story(watch)}`);
      }
    }
  }
}

/** @internal What was told, in words. */
export function story({ log }: Watch): string {
  const shown = log.length <= 10 ? log : [...log.slice(0, 4), `… (${log.length - 8} more)`, ...log.slice(-4)];
  return log.length === 0 ? 'nothing was told' : `told so far: ${shown.join(', ')}`;
}

/** @internal */
export function nameOf(origins: readonly string[]): string {
  return origins.length === 0 ? 'nobody' : origins.join(', ');
}

function originsOf(endpoints: readonly Endpoint[]): readonly string[] {
  return endpoints.map((endpoint) => String(endpoint?.origin));
}

/** Whether both name the same, whatever the order and however often. */
function same(a: readonly string[], b: readonly string[]): boolean {
  const [left, right] = [new Set(a), new Set(b)];
  return left.size === right.size && [...left].every((origin) => right.has(origin));
}

function copyOf(endpoints: readonly Endpoint[]): string {
  // Attributes may hold anything, also what JSON cannot: of those only that they are there.
  return JSON.stringify(
    endpoints.map((endpoint) => ({ ...endpoint, attributes: Object.keys(Object(endpoint?.attributes)) })),
  );
}
