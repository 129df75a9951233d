/** @module What the scheduler gave to a process, by its own count. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** The count of one process at one time, in ms. */
export interface Counted {
  readonly at: number;
  /** CPU time of all its threads. */
  readonly cpu: number;
  /** How long its main thread was ready to run while the core worked for other processes. */
  readonly waited: number;
}

/** Counts `pid` now. */
export function count(pid: number): Counted {
  let [own, waited, cpu] = [0, 0, 0];
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const [ran = 0, queued = 0] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ').map(Number);
    cpu += ran;
    if (Number(task) === pid) [own, waited] = [ran, queued];
  }
  // On the one core that it has, the main thread also waits for the threads beside it, which is nobody else's doing.
  return { at: performance.now(), cpu: cpu / 1e6, waited: Math.max(0, waited - (cpu - own)) / 1e6 };
}

/** Counts again and again, so that one can ask later what was between any two times. */
export class Watch {
  readonly #samples: Counted[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number, everyMs = 50) {
    this.#samples.push(count(pid));
    this.#timer = setInterval(() => this.#samples.push(count(pid)), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** CPU time used in [from, to), and how much of that time the process could have had, in ms. */
  between(from: number, to: number): { cpu: number; available: number } {
    const [a, b] = [this.#near(from), this.#near(to)];
    return { cpu: b.cpu - a.cpu, available: b.at - a.at - (b.waited - a.waited) };
  }

  #near(at: number): Counted {
    return this.#samples.find((sample) => sample.at >= at) ?? (this.#samples.at(-1) as Counted);
  }
}
