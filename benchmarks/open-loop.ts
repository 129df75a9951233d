/**
 * @module Load that does not wait for answers: requests leave when they are due, as those of many callers do, and however
 * long the ones before take. Latency counts from when a request was due, so that a sender that is late flatters nobody.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

/** What became of the requests of one phase. Status 0 is a request without an answer. */
export class Outcomes {
  readonly #due: Float64Array;
  readonly #ms: Float64Array;
  readonly #status: Int16Array;
  readonly #kind: Int8Array;
  count = 0;
  /** How late the sender was with each request, in ms: a measure of whether the figures can be believed. */
  readonly lateMs: Float64Array;

  constructor(most: number) {
    this.#due = new Float64Array(most);
    this.#ms = new Float64Array(most);
    this.#status = new Int16Array(most);
    this.#kind = new Int8Array(most);
    this.lateMs = new Float64Array(most);
  }

  /** A request of `kind` that is due at `due`; its answer is told to {@link settle} by the number given here. */
  add(due: number, kind: number): number {
    const id = this.count++;
    this.#due[id] = due;
    this.#ms[id] = Number.NaN;
    this.#kind[id] = kind;
    this.lateMs[id] = performance.now() - due;
    return id;
  }

  settle(id: number, status: number): void {
    this.#status[id] = status;
    this.#ms[id] = performance.now() - (this.#due[id] as number);
  }

  /** Calls `each` for every request that was due in [from, to), in ms of `performance.now`. */
  forEach(from: number, to: number, each: (status: number, ms: number, due: number, kind: number) => void): void {
    for (let i = 0; i < this.count; i++) {
      const due = this.#due[i] as number;
      if (due < from || due >= to) continue;
      each(this.#status[i] as number, this.#ms[i] as number, due, this.#kind[i] as number);
    }
  }

  /** Requests that were due in [from, to) and that `counts` picks: how many, and percentiles of their latency in ms. */
  take(from: number, to: number, counts: (status: number, ms: number, kind: number) => boolean): Taken {
    const latencies: number[] = [];
    this.forEach(from, to, (status, ms, _due, kind) => {
      if (counts(status, ms, kind)) latencies.push(ms);
    });
    latencies.sort((a, b) => a - b);
    const at = (share: number): number =>
      latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
    return { count: latencies.length, p50: at(0.5), p99: at(0.99) };
  }
}

/** Some of the requests of a phase. */
export interface Taken {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

/** Sends one request and tells its status, 0 if there is none. Never throws. */
export type Send = (kind: number, done: (status: number) => void) => void;

/** Kinds of requests, as many per second of each as it says. */
export type Rates = readonly number[];

/** One phase: rates and how long. */
export interface Phase {
  readonly perSecond: Rates;
  readonly ms: number;
}

/**
 * Sends by a Poisson process for the length of each phase, one right after the other, and waits for what is still to come.
 * @returns the outcomes, and when each phase began and the last one ended
 */
export async function openLoop(
  phases: readonly Phase[],
  send: Send,
): Promise<{ outcomes: Outcomes; bounds: number[] }> {
  const total = ({ perSecond }: Phase): number => perSecond.reduce((sum, rate) => sum + rate, 0);
  const expected = phases.reduce((sum, phase) => sum + (total(phase) * phase.ms) / 1_000, 0);
  const outcomes = new Outcomes(Math.ceil(expected * 1.1 + 1_000));
  let open = 0;
  const bounds: number[] = [];
  let begin = performance.now();
  for (const phase of phases) {
    bounds.push(begin);
    const end = begin + phase.ms;
    const perMs = total(phase) / 1_000;
    let due = begin + gap(perMs);
    while (due < end) {
      const now = performance.now();
      if (now < due) {
        // A timer is a millisecond late, a turn of the loop is not.
        await new Promise((resolve) => (due - now > 2 ? setTimeout(resolve, 1) : setImmediate(resolve)));
        continue;
      }
      const kind = kindOf(phase.perSecond, Math.random() * total(phase));
      const id = outcomes.add(due, kind);
      open++;
      send(kind, (status) => {
        open--;
        outcomes.settle(id, status);
      });
      due += gap(perMs);
    }
    begin = end;
  }
  bounds.push(begin);
  while (open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  return { outcomes, bounds };
}

function gap(perMs: number): number {
  return -Math.log(1 - Math.random()) / perMs;
}

function kindOf(rates: Rates, point: number): number {
  let left = point;
  let kind = 0;
  while (kind < rates.length - 1 && (left -= rates[kind] as number) >= 0) kind++;
  return kind;
}

/** How {@link rawSender} sends. */
export interface RawOptions {
  readonly port: number;
  /** The bytes of a request of each kind. */
  readonly requests: readonly (string | Buffer)[];
  /** After which a caller gives up and closes his connection. */
  readonly timeoutMs: number;
  /** Connections at most; a request that finds none free has failed. Default 4,000. */
  readonly connections?: number;
}

/** A sender of its own connections. */
export interface RawSender {
  readonly send: Send;
  /**
   * Opens connections, so that they are there before the load comes. Without that an overloaded Node accepts newcomers one
   * at a time between requests, and is protected by nothing but their not getting in.
   */
  open(connections: number): Promise<void>;
  close(): void;
}

/**
 * Sends bytes that were made before over connections that are kept open, one request at a time over each, so that nobody
 * waits behind a request of his own: some 10 µs per request, where a real client would be what is measured.
 */
export function rawSender({ port, requests, timeoutMs, connections = 4_000 }: RawOptions): RawSender {
  const bytes = requests.map((request) => Buffer.from(request));
  const idle: Connection[] = [];
  const all = new Set<Connection>();

  class Connection {
    readonly socket: Socket;
    done: ((status: number) => void) | null = null;
    giveUpAt = 0;
    #begun: Buffer | null = null;

    constructor() {
      all.add(this);
      this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
      this.socket.on('data', (chunk) => this.#read(chunk));
      this.socket.on('error', () => {});
      this.socket.on('close', () => this.end());
    }

    request(kind: number, done: (status: number) => void): void {
      this.done = done;
      this.giveUpAt = performance.now() + timeoutMs;
      this.socket.write(bytes[kind] as Buffer);
    }

    /** Closed by whichever side. */
    end(): void {
      all.delete(this);
      const at = idle.indexOf(this);
      if (at >= 0) idle.splice(at, 1);
      this.#settle(0);
      this.socket.destroy();
    }

    #read(chunk: Buffer): void {
      const data = this.#begun === null ? chunk : Buffer.concat([this.#begun, chunk]);
      this.#begun = data;
      const end = data.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = data.toString('latin1', 0, end + 2);
      const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1];
      if (length === undefined) throw new Error(`an answer of unknown length:\n${head}`);
      if (data.length < end + 4 + Number(length)) return;
      this.#begun = null;
      this.#settle(Number(head.slice(9, 12)));
      if (/\r\nconnection: *close\r\n/i.test(head)) this.end();
      else idle.push(this);
    }

    #settle(status: number): void {
      const { done } = this;
      this.done = null;
      done?.(status);
    }
  }

  // One timer for all of them: each with its own would cost more than the request.
  const sweeper = setInterval(() => {
    const now = performance.now();
    for (const each of all) if (each.done !== null && now >= each.giveUpAt) each.end();
  }, 10);
  return {
    async open(count) {
      while (all.size < count) {
        const some = Array.from({ length: Math.min(50, count - all.size) }, () => new Connection());
        await Promise.all(some.map(({ socket }) => once(socket, 'connect')));
        idle.push(...some);
      }
    },
    send(kind, done) {
      const free = idle.pop() ?? (all.size < connections ? new Connection() : null);
      if (free === null) done(0);
      else free.request(kind, done);
    },
    close() {
      clearInterval(sweeper);
      for (const each of all) each.end();
    },
  };
}
