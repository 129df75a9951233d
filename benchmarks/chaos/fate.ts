/** @module What becomes of one request at one place: the same whoever asks, the simulated network or the oracle. */
import { TransportError } from '@fairlead/core';
import { fail, refuse, reply, reset, type Step } from '@fairlead/testing';
import { episodeAt, episodeWithin, type Place } from './faults.ts';

/** Answers of a place that is well take from 5 to 85 ms, half of them less than 15. */
const FASTEST_MS = 5;
const SPREAD_MS = 80;
const SLOWER = 30;
/** Share of the replies, or answers, that an episode of `cuts` or `garbage` spoils. */
const SPOILED = 0.8;
const PIECE = 'x'.repeat(100);

/** What becomes of a request. */
export interface Fate {
  /** Ms until there is a head, or the request has failed; Infinity for never. */
  readonly headMs: number;
  /** Ms until the body is through, or has broken off; Infinity for never. */
  readonly endMs: number;
  readonly good: boolean;
  /** Whether a failure proves that nothing was sent. */
  readonly unsent: boolean;
  /** For a scripted backend; a body of its own is put in by `text`. */
  readonly step: (text: string) => Step;
}

/** A number in [0, 1) that is always the same for the same call, place and question. */
function draw(call: number, place: Place, question: number): number {
  let h =
    Math.imul(call ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(place.index + 1, 0xc2b2ae35) ^ Math.imul(question, 0x27d4eb2f);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 2 ** 32;
}

const failed = (headMs: number, step: Step, unsent = false): Fate => ({
  headMs,
  endMs: headMs,
  good: false,
  unsent,
  step: () => step,
});

const garbage = (afterMs: number): Step =>
  fail(
    ({ service, endpoint }) => {
      const cause = Object.assign(new Error('Invalid character'), { code: 'HPE_INVALID_CONSTANT' });
      return new TransportError({ phase: 'wait', sent: 'maybe', service, endpoint: endpoint?.id ?? null, cause });
    },
    { afterMs },
  );

/** What becomes of a request of call number `call` that reaches `place` at `at`. */
export function fateOf(call: number, place: Place, at: number): Fate {
  const now = episodeAt(place, at);
  if (now?.fault === 'dead') return failed(1, refuse({ afterMs: 1 }), true);
  const thinkMs = FASTEST_MS + SPREAD_MS * draw(call, place, 1) ** 3;
  if (now?.fault === 'unwell') return failed(2, reply(503, { afterMs: 2, body: 'unwell' }));
  let headMs = now?.fault === 'slow' ? thinkMs * SLOWER : thinkMs;
  if (now?.fault === 'frozen') headMs = now.to - at + thinkMs;
  // What happens while it works on the answer.
  for (let from = now?.fault === 'frozen' ? now.to : at; ; ) {
    const next = episodeWithin(place, from, at + headMs);
    if (next === null) break;
    if (next.fault === 'dead') return failed(next.from - at, reset({ afterMs: next.from - at }));
    headMs += next.to - next.from;
    from = next.to;
  }
  if (now?.fault === 'garbage' && draw(call, place, 2) < SPOILED) return failed(headMs, garbage(headMs));
  return answer(call, place, at, headMs, now?.fault === 'cuts' && draw(call, place, 2) < SPOILED);
}

function answer(call: number, place: Place, at: number, headMs: number, spoiled: boolean): Fate {
  const pieces = 1 + Math.floor(draw(call, place, 3) * 4);
  const betweenMs = draw(call, place, 4) < 0.5 ? 0 : 10;
  const bodyMs = pieces * betweenMs;
  const body = (text: string): string[] => [text, ...Array.from({ length: pieces - 1 }, () => PIECE)];
  const whole = (text: string): object => ({
    body: body(text),
    betweenMs,
    afterMs: headMs,
    headers: { 'content-length': String(text.length + PIECE.length * (pieces - 1)) },
  });
  const during = spoiled ? null : episodeWithin(place, at + headMs, at + headMs + bodyMs);
  if (!spoiled && during === null) {
    const step = (text: string): Step => reply(200, whole(text));
    return { headMs, endMs: headMs + bodyMs, good: true, unsent: false, step };
  }
  const came = during === null ? pieces >> 1 : Math.floor((during.from - at - headMs) / betweenMs);
  const stalls = during?.fault === 'frozen';
  const step = (text: string): Step =>
    reply(200, { ...whole(text), ...(stalls ? { stallAfter: came } : { cutAfter: came }) });
  const endMs = stalls ? Number.POSITIVE_INFINITY : headMs + (came + 1) * betweenMs;
  return { headMs, endMs, good: false, unsent: false, step };
}
