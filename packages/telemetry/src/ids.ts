/**
 * @module Ids of traces and spans. Random bytes are asked for in batches and turned to hex many ids at a time; an id is a slice of
 * that text. Asking for each id separately costs twenty times as much.
 */
import type { Clock } from '@fairlead/core';

const SPAN_BYTES = 8;
const SPAN_HEX = 2 * SPAN_BYTES;
const TRACE_HEX = 2 * SPAN_HEX;
/** Large, since asking the system's generator costs the same 30 µs for nearly any number of bytes when it is not in the caches. */
const BATCH_BYTES = 16_384;
/** Small, since a long text is memory that nobody has touched yet. A divisor of the other. */
const TEXT_BYTES = 512;

/** Makes ids out of one clock's random bytes. */
export class IdSource {
  readonly clock: Clock;
  readonly #bytes: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES);
  /** How many of the bytes have been turned to text. */
  #spelled = BATCH_BYTES;
  #hex = '';
  #used = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** 32 hex digits, random, never all zero. */
  traceId(): string {
    if (this.#used + TRACE_HEX > this.#hex.length) this.#refill();
    const start = this.#used;
    this.#used = start + TRACE_HEX;
    return this.#hex.slice(start, start + TRACE_HEX);
  }

  /** 16 hex digits, random, never all zero. */
  spanId(): string {
    if (this.#used + SPAN_HEX > this.#hex.length) this.#refill();
    const start = this.#used;
    this.#used = start + SPAN_HEX;
    return this.#hex.slice(start, start + SPAN_HEX);
  }

  #refill(): void {
    if (this.#spelled === BATCH_BYTES) this.#draw();
    this.#hex = this.#bytes.toString('hex', this.#spelled, this.#spelled + TEXT_BYTES);
    this.#spelled += TEXT_BYTES;
    this.#used = 0;
  }

  #draw(): void {
    const bytes = this.#bytes;
    this.clock.randomFill(bytes);
    // An id of zeros is invalid. It is ruled out here, for every place where one can begin, so no id has to be looked at.
    for (let i = 0; i < BATCH_BYTES; i += SPAN_BYTES) {
      if (bytes.readUInt32LE(i) === 0 && bytes.readUInt32LE(i + 4) === 0) bytes[i] = 1;
    }
    this.#spelled = 0;
  }
}

const sources = new WeakMap<Clock, IdSource>();
let latest: IdSource | null = null;

/** The one source of ids for `clock`: under a clock that repeats itself, so do the ids. */
export function idsOf(clock: Clock): IdSource {
  if (latest !== null && latest.clock === clock) return latest;
  let source = sources.get(clock);
  if (source === undefined) {
    source = new IdSource(clock);
    sources.set(clock, source);
  }
  latest = source;
  return source;
}
