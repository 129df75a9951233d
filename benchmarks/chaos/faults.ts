/** @module What goes wrong, where and when: drawn before a simulation begins, so that an oracle can know it. */
import type { Prng } from '@fairlead/testing';

/**
 * - `dead`: the process is gone; nobody listens, and what it had is reset
 * - `frozen`: it does nothing, and goes on later where it stood; a body that it has begun does not go on
 * - `slow`: it takes thirty times as long
 * - `cuts`: most replies are reset in the middle of their body
 * - `garbage`: most answers are no HTTP
 * - `unwell`: it answers 503, at once
 */
export type Fault = 'dead' | 'frozen' | 'slow' | 'cuts' | 'garbage' | 'unwell';

export const faults: readonly Fault[] = ['dead', 'frozen', 'slow', 'cuts', 'garbage', 'unwell'];

/** One thing that goes wrong, from a time to a time, in ms. */
export interface Episode {
  readonly fault: Fault;
  readonly from: number;
  readonly to: number;
  /** For `dead`: whether discovery notices. */
  readonly noticed: boolean;
}

/** One endpoint, and all that will happen to it. */
export interface Place {
  readonly id: string;
  /** Tells places apart in draws. */
  readonly index: number;
  /** In order, never two at a time. */
  readonly episodes: readonly Episode[];
}

/** Mean length of an episode, in ms. */
const EPISODE_MS = 5_000;

/** Draws what happens to a place until `endMs`, with `quietMs` between the end of one thing and the next on average. */
export function episodesUntil(endMs: number, quietMs: number, prng: Prng): Episode[] {
  const exponential = (mean: number): number => -Math.log(1 - prng.random()) * mean;
  const episodes: Episode[] = [];
  for (let at = exponential(quietMs); at < endMs; at += exponential(quietMs)) {
    const fault = faults[Math.floor(prng.random() * faults.length)] as Fault;
    const to = at + 200 + exponential(EPISODE_MS);
    episodes.push({ fault, from: at, to, noticed: prng.random() < 0.5 });
    at = to;
  }
  return episodes;
}

/** The episode that is on at `at`; null if all is well. */
export function episodeAt(place: Place, at: number): Episode | null {
  for (const episode of place.episodes) {
    if (episode.from > at) return null;
    if (at < episode.to) return episode;
  }
  return null;
}

/** The first episode of those kinds that begins after `after` and before `before`; null if none does. */
export function episodeWithin(place: Place, after: number, before: number): Episode | null {
  for (const episode of place.episodes) {
    if (episode.from >= before) return null;
    if (episode.from > after && (episode.fault === 'dead' || episode.fault === 'frozen')) return episode;
  }
  return null;
}
