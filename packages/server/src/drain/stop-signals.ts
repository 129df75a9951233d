/** @module The signals that ask a process to stop, and how it ends so that whoever sent them can tell. */
import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { hearOrders } from './stop-relay.js';

/** The names of all signals that a process can listen to, on this platform. */
export const audibleSignals: readonly string[] = Object.freeze(
  Object.keys(constants.signals).filter((name) => name !== 'SIGKILL' && name !== 'SIGSTOP'),
);

/** Where signals come from, and what is done with one in the end. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): void;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): void;
  /** Ends the process as if `signal` had never been listened to. Called after `off`. */
  raise(signal: NodeJS.Signals): void;
}

/** A listener, told of a signal that comes directly and of one that is passed on; of the same one, once. */
class Listening {
  #passedOn = false;
  #direct = false;
  readonly #stopHearing: () => void;

  constructor(
    readonly signal: NodeJS.Signals,
    readonly listener: (signal: NodeJS.Signals) => void,
  ) {
    process.on(signal, this.#received);
    this.#stopHearing = hearOrders((now) => this.#obey(now));
  }

  readonly #received = (): void => {
    const same = this.#passedOn && !this.#direct;
    this.#direct = true;
    if (!same) this.listener(this.signal);
  };

  #obey(now: boolean): void {
    const first = !this.#direct && !this.#passedOn;
    this.#passedOn = true;
    if (first) this.listener(this.signal);
    if (now) this.listener(this.signal);
  }

  stop(): void {
    process.off(this.signal, this.#received);
    this.#stopHearing();
  }
}

const listening = new Set<Listening>();

/**
 * The signals of this process, and what is passed on to it by `clusterWorkers` and `workerThreads` of the one above. Raising
 * one sends it again with nobody listening, so that the process dies of it, which a shell or kubelet sees as exit code 128
 * plus its number. Process 1 of a container cannot die that way, because the kernel gives it no default action: it exits with
 * that code instead; a thread just ends. Where somebody else listens to the same signal, nothing is done: they have been told
 * already, and ending the process is theirs.
 */
export const processSignals: SignalSource = {
  on(signal, listener) {
    listening.add(new Listening(signal, listener));
  },
  off(signal, listener) {
    for (const each of listening) {
      if (each.signal !== signal || each.listener !== listener) continue;
      each.stop();
      listening.delete(each);
    }
  },
  raise(signal) {
    if (process.listenerCount(signal) > 0) return;
    if (!isMainThread) process.exit();
    if (process.pid === 1) process.exit(128 + constants.signals[signal]);
    process.kill(process.pid, signal);
  },
};
