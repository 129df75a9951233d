/** @module The event loop as far as overload goes: a moment in each of its turns, how busy it has been, how full memory is. */
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** What {@link shed} asks of the process that it protects. Tests have one in virtual time. */
export interface EventLoop {
  /** Calls `run` once, when everything has been read that is there to be read. What is called for in `run` comes a turn later. */
  afterReading(run: () => void): void;
  /** For how long the loop has been working rather than waiting, in ms since the process began. */
  activeMs(): number;
  /** The share of the heap's limit that is in use, 0 to 1. Garbage counts until it is collected. */
  heapRatio(): number;
}

/** The event loop of this thread. */
export const eventLoop: EventLoop = Object.freeze({
  afterReading(run: () => void): void {
    // biome-ignore lint/style/noRestrictedGlobals: not a time, but a place in the turn: between reading and the next wait
    setImmediate(run);
  },
  activeMs: () => performance.eventLoopUtilization().active,
  heapRatio(): number {
    const { used_heap_size, heap_size_limit } = getHeapStatistics();
    return used_heap_size / heap_size_limit;
  },
});
