/** @module In which order requests are served: by class, and within one first attempts before repetitions. */
import { criticalities } from '@fairlead/core';
import type { InboundHeaders } from '../headers/inbound-headers.js';
import type { Door } from './shedder.js';

/** Each class has a line, and one behind it for retries and for tenants who want too much. */
export const RANKS: number = criticalities.length * 2;

/** The line that a request stands in; 0 is served first. */
export function rankOf(door: Door, said: InboundHeaders, greedy: boolean): number {
  return 2 * (said.rank < 0 ? door.ordinary : said.rank) + (said.attempt > 1 || greedy ? 1 : 0);
}
