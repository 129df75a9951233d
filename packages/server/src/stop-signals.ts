/** @module The signals that ask a process to stop, and how it ends so that whoever sent them can tell. */
import { constants } from 'node:os';

/** Where signals come from, and what is done with one in the end. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): void;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): void;
  /** Ends the process as if `signal` had never been listened to. Called after `off`. */
  raise(signal: NodeJS.Signals): void;
}

/**
 * The signals of this process. Raising one sends it again with nobody listening, so that the process dies of it, which a
 * shell or kubelet sees as exit code 128 plus its number. Process 1 of a container cannot die that way, because the kernel
 * gives it no default action: it exits with that code instead. Where somebody else listens to the same signal, nothing is
 * done: they have been told already, and ending the process is theirs.
 */
export const processSignals: SignalSource = {
  on(signal, listener) {
    process.on(signal, listener);
  },
  off(signal, listener) {
    process.off(signal, listener);
  },
  raise(signal) {
    if (process.listenerCount(signal) > 0) return;
    if (process.pid === 1) process.exit(128 + constants.signals[signal]);
    process.kill(process.pid, signal);
  },
};
