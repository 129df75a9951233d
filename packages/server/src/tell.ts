/**
 * @module What a server tells of itself to callers that ask for it, in headers of its replies: how loaded it is, for their
 * balancers, in the text form of ORCA's load reports (xDS, `endpoint-load-metrics`), and where the time went, as
 * `Server-Timing` (W3C).
 */

/** The request header by which a caller asks: a list of `load` and `timing`. */
export const tellHeader = 'x-fairlead-tell';
/** The reply header that carries a load report. */
export const loadHeader = 'endpoint-load-metrics';
/** Asked for a load report. */
export const LOAD = 1;
/** Asked for timing. */
export const TIMING = 2;

/** What `value` of {@link tellHeader} asks for: {@link LOAD}, {@link TIMING}, both added up, or 0. */
export function readTell(value: string): number {
  let asked = 0;
  for (const each of value.split(',')) {
    const word = each.trim();
    if (word === 'load') asked |= LOAD;
    else if (word === 'timing') asked |= TIMING;
  }
  return asked;
}

/** How loaded a process is. Shares are of 1, which means all of it. */
export interface Load {
  /** Of the time of the event loop. */
  readonly cpu: number;
  /** Of the limit of the heap. */
  readonly memory: number;
  /** What is asked for, over what can be done; above 1 in an overload. */
  readonly application: number;
  /** Requests per second. */
  readonly perSecond: number;
}

/** A load report in its text form. */
export function formatLoad({ cpu, memory, application, perSecond }: Load): string {
  return `TEXT cpu_utilization=${short(cpu)}, mem_utilization=${short(memory)}, application_utilization=${short(application)}, rps_fractional=${short(perSecond)}`;
}

/** `Server-Timing`: how long a request waited to be let in, and how long the handler has worked up to the head, in ms. */
export function formatTiming(queueMs: number, handlerMs: number): string {
  return `queue;dur=${short(queueMs)}, handler;dur=${short(handlerMs)}`;
}

function short(value: number): string {
  return String(Math.round(value * 1_000) / 1_000);
}
