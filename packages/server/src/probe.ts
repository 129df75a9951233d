/** @module One health question, and the checks that answer it. */
import { type Clock, later } from '@fairlead/core';

/** Passes unless it gives false, throws, is rejected, or takes too long. */
export type HealthCheck = () => unknown;

/** One path with its checks. */
export class Probe {
  readonly #checks: readonly (readonly [name: string, check: HealthCheck])[];
  #running: Promise<readonly string[]> | null = null;
  #passed: Promise<readonly string[]> | null = null;

  constructor(
    readonly path: string,
    named: Readonly<Record<string, HealthCheck>>,
    /** Whether it is enough to pass once. */
    readonly once: boolean,
    readonly timeoutMs: number,
    readonly clock: Clock,
  ) {
    this.#checks = Object.entries(named);
  }

  /** Whether `target` is this path, whatever its query. */
  matches(target: string): boolean {
    const path = this.path;
    return target.startsWith(path) && (target.length === path.length || target[path.length] === '?');
  }

  /**
   * Runs the checks, all at once. While they run, whoever asks again gets the same answer, so that probes do not pile up
   * on a database that is slow already.
   * @returns the names of those that failed
   */
  run(): Promise<readonly string[]> {
    if (this.#passed !== null) return this.#passed;
    this.#running ??= this.#runAll();
    return this.#running;
  }

  async #runAll(): Promise<readonly string[]> {
    const results = await Promise.all(this.#checks.map(([, check]) => this.#runOne(check)));
    const failing = this.#checks.filter((_, i) => results[i] === false).map(([name]) => name);
    if (this.once && failing.length === 0) this.#passed = Promise.resolve(failing);
    this.#running = null;
    return failing;
  }

  #runOne(check: HealthCheck): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = later(this.clock, this.timeoutMs, () => resolve(false), true);
      const settle = (passed: boolean): void => {
        this.clock.disarm(timer);
        resolve(passed);
      };
      // Inside an async function a check that throws and one that is rejected are the same.
      (async () => check())().then(
        (value) => settle(value !== false),
        () => settle(false),
      );
    });
  }
}
