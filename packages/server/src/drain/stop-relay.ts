/**
 * @module How the parts of one service tell each other to stop. The signal of a pod reaches its first process only; that one
 * passes it on to the workers of its cluster, and to its threads, which no signal ever reaches. Not as a signal, since
 * systemd and terminals send theirs to every process, and a second one means at once.
 */
import cluster from 'node:cluster';
import { BroadcastChannel, isMainThread, type Worker } from 'node:worker_threads';
import type { Drainable } from './connections.js';

/** Also the name of the channel between threads. */
const key = 'fairlead.drain.v1';

/** Begin to stop, or be done with it. */
type Order = 'start' | 'now';

/**
 * Hears what the process or thread above this one passes on; nothing, if there is none.
 * @returns stops listening
 */
export function hearOrders(obey: (now: boolean) => void): () => void {
  if (!isMainThread) {
    const channel = new BroadcastChannel(key);
    channel.onmessage = (event: unknown): void => obey((event as { data: Order }).data === 'now');
    channel.unref();
    return () => channel.close();
  }
  if (!cluster.isWorker) return () => {};
  const hear = (message: unknown): void => {
    const order = (message as { [key]?: Order } | null)?.[key];
    if (order !== undefined) obey(order === 'now');
  };
  process.on('message', hear);
  return () => process.off('message', hear);
}

/** Workers that stop with this process, and before it. */
abstract class Workers implements Drainable {
  #left = 0;

  announce(): void {
    this.send('start');
  }

  close(closed: () => void): void {
    this.#left = 1;
    const one = (): void => {
      if (--this.#left === 0) closed();
    };
    for (const worker of this.running()) {
      this.#left++;
      worker.once('exit', one);
    }
    one();
  }

  closeAllConnections(): void {
    this.send('now');
  }

  /** What a drain listens to a server for is heard by the workers themselves. */
  on(): void {}
  off(): void {}

  protected abstract send(order: Order): void;
  protected abstract running(): Iterable<{ once(event: 'exit', listener: () => void): unknown }>;
}

class ClusterWorkers extends Workers {
  protected send(order: Order): void {
    for (const worker of this.running()) if (worker.isConnected()) worker.send({ [key]: order });
  }

  protected *running(): Iterable<import('node:cluster').Worker> {
    for (const worker of Object.values(cluster.workers ?? {}))
      if (worker !== undefined && !worker.isDead()) yield worker;
  }
}

class ThreadWorkers extends Workers {
  readonly #threads: Iterable<Worker>;

  constructor(threads: Iterable<Worker>) {
    super();
    this.#threads = threads;
  }

  protected send(order: Order): void {
    const channel = new BroadcastChannel(key);
    channel.postMessage(order);
    channel.close();
  }

  protected *running(): Iterable<Worker> {
    // A thread that has ended has lost its number.
    for (const thread of this.#threads) if (thread.threadId !== -1) yield thread;
  }
}

/**
 * The workers of this process's cluster: `createDrain({ servers: clusterWorkers() })` in the primary, and a drain in each
 * worker, such as a guard has. The primary passes the signal on, waits for its workers, and ends after them. Give it a
 * `timeoutMs` somewhat above theirs.
 */
export function clusterWorkers(): Drainable {
  return new ClusterWorkers();
}

/**
 * Worker threads that serve: `createDrain({ servers: workerThreads(threads) })` in the main thread, and a drain in each of
 * them, such as a guard has. They are told at the signal and waited for; a thread ends when its drain is over.
 * @param threads asked for its members when the drain closes, so a set that changes will do
 */
export function workerThreads(threads: Iterable<Worker>): Drainable {
  return new ThreadWorkers(threads);
}
