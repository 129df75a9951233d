/**
 * @module opossum as the engine of the breaker: it keeps the window of counts and decides when to open. It is told
 * afterwards how calls went rather than wrapped around them, and time is ours.
 *
 * What is kept from it, and how (opossum 10.0.0):
 * - Time. Its window turns only when told to (`rotateBucketController`); its reset timer is a listener of its own `open`
 *   event and is taken off, since nothing else would stop it from half-opening by real time. It still reads `Date.now` for
 *   latencies, which nobody looks at.
 * - Successes. In a closed circuit they only count, so they are counted here and handed over in bulk, into the bucket they
 *   belong to, before opossum decides or turns. A success then costs one addition instead of a promise and two events.
 * - Latencies. It keeps every one of them even with percentiles off; ours go nowhere.
 * - Everything but the closed state. A circuit lives from one closing to the next opening; probes are not its business, and
 *   neither are the failures of an outage, which it would keep in its window after closing.
 * - Slow calls, which it does not know. They are counted beside it.
 *
 * A failure still costs opossum one pass over its ten buckets, and two promises: 10 to 30 µs, whatever the traffic.
 */
import { EventEmitter } from 'node:events';
import { loadOpossum } from '../load-engine.js';
import { type BreakerEngine, BreakerWindow, type EngineCounts, type EngineSettings } from './breaker-window.js';

const BUCKETS = 10;

/** opossum opens above its percentage, we at it. */
const AT_LEAST = 1e-9;

/** What opossum calls and then waits for; this one knows its result already, and so everything happens at once. */
class Settled {
  constructor(readonly failed: boolean) {}
  // biome-ignore lint/suspicious/noThenProperty: being thenable is its purpose
  then(succeed: () => void): this {
    if (!this.failed) succeed();
    return this;
  }
  catch(fail: (error: unknown) => void): this {
    if (this.failed) fail(failure);
    return this;
  }
}

const failure = Object.freeze(new Error('told to opossum as a failure'));
const failed = new Settled(true);
const noLatencies = Object.freeze({ push: () => 0 }) as unknown as number[];
const ignore = (): void => {};

/** One life of an opossum circuit, from closed to open. */
export class OpossumEngine implements BreakerEngine {
  /** When {@link turn} is next due, in monotonic ms. */
  turnAt: number = Number.NEGATIVE_INFINITY;
  readonly #circuit: InstanceType<ReturnType<typeof loadOpossum>>;
  readonly #turner = new EventEmitter();
  readonly #bucketMs: number;
  #told: Settled = failed;
  /** All calls, of which the failures are left to opossum. */
  readonly #slow: BreakerWindow;
  #successes = 0;

  constructor(settings: EngineSettings) {
    this.#slow = new BreakerWindow({ ...settings, errorRatio: Number.POSITIVE_INFINITY });
    this.#bucketMs = settings.windowMs / BUCKETS;
    const options = {
      name: 'fairlead',
      timeout: false,
      errorThresholdPercentage: settings.errorRatio * 100 - AT_LEAST,
      volumeThreshold: settings.minCalls,
      rollingCountTimeout: settings.windowMs,
      rollingCountBuckets: BUCKETS,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      rotateBucketController: this.#turner,
    } as const;
    const CircuitBreaker = loadOpossum();
    // biome-ignore lint/suspicious/noExplicitAny: a thenable, which is all that opossum asks for, is no Promise to the types
    this.#circuit = new CircuitBreaker(() => this.#told as any, options);
    this.#circuit.removeAllListeners('open');
    this.#dropLatencies(BUCKETS);
  }

  get opened(): boolean {
    return this.#circuit.opened || this.#slow.opened;
  }

  succeeded(slow: boolean): void {
    this.#successes++;
    this.#slow.succeeded(slow);
  }

  failed(): void {
    this.#slow.failed();
    this.#handOver();
    this.#tell(failed);
  }

  turn(now: number): void {
    if (now < this.turnAt) return;
    this.#slow.turn(now);
    this.#handOver();
    const passed = Math.floor((now - this.turnAt) / this.#bucketMs) + 1;
    const turns = Math.min(passed, BUCKETS);
    for (let i = 0; i < turns; i++) this.#turner.emit('rotate');
    this.#dropLatencies(turns);
    this.turnAt = passed > BUCKETS ? now + this.#bucketMs : this.turnAt + passed * this.#bucketMs;
  }

  counts(): EngineCounts {
    this.#handOver();
    const { fires, failures } = this.#circuit.stats;
    return { calls: fires, failures, slow: this.#slow.counts().slow };
  }

  restore(counts: EngineCounts): void {
    this.#slow.restore(counts);
    const bucket = this.#circuit.status.window[0];
    if (bucket === undefined) return;
    bucket.fires += counts.calls;
    bucket.successes += counts.calls - counts.failures;
    bucket.failures += counts.failures;
  }

  #tell(how: Settled): void {
    this.#told = how;
    // Everything has happened when fire returns; its promise only repeats it, a microtask later.
    this.#circuit.fire().catch(ignore);
  }

  #handOver(): void {
    if (this.#successes === 0) return;
    const bucket = this.#circuit.status.window[0];
    if (bucket === undefined) return;
    bucket.fires += this.#successes;
    bucket.successes += this.#successes;
    this.#successes = 0;
  }

  #dropLatencies(newest: number): void {
    for (const bucket of this.#circuit.status.window.slice(0, newest)) bucket.latencyTimes = noLatencies;
  }
}
