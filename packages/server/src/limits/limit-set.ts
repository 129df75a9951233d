/**
 * @module Several limits that one request has to pass, of which either all or none are charged: a caller that one of them
 * refuses must not use up the others by coming back too early.
 */
import { type Call, type Dispatch, type Middleware, type Receiver, relay } from '@fairlead/core';
import { exchangeOf } from '../exchange.js';
import type { Limit } from './limit.js';
import type { LimitVerdict } from './limiter.js';
import { overLimit } from './over-limit.js';

/** What one limit has said about a request. A copy, since verdicts may be used again. */
interface Answer {
  readonly limit: Limit;
  readonly key: string;
  readonly units: number;
  readonly verdict: LimitVerdict;
  /** Whether the units are taken. */
  taken: boolean;
}

/**
 * Makes the layer. Limits of this process are asked first, all of them, so that a client is told each that it violates and
 * sent away until none of them would; then the shared ones, one after the other until one refuses. What was taken before is
 * given back.
 */
export function limitSet(limits: readonly Limit[]): Middleware {
  const own = limits.filter(({ shared }) => !shared);
  const shared = limits.filter((limit) => limit.shared);

  return relay('rateLimit', (call, next, receiver) => {
    const answers: Answer[] = [];
    try {
      for (const limit of own) {
        const question = questionOf(limit, call);
        if (question !== null) answers.push(answer(question, limit.ask(call, question.key, question.units)));
      }
    } catch (error) {
      giveBack(call, answers);
      receiver.onError(error);
      return;
    }
    const go = (): void => settle(call, next, receiver, limits, answers);
    if (shared.length === 0 || answers.some(({ taken }) => !taken)) go();
    else askShared(call, shared, answers).then(go, (error: unknown) => receiver.onError(error));
  });
}

interface Question {
  readonly limit: Limit;
  readonly key: string;
  readonly units: number;
}

/** Null for a request that does not count towards this limit. */
function questionOf(limit: Limit, call: Call): Question | null {
  const units = limit.unitsOf(call);
  return units === 0 ? null : { limit, units, key: limit.key(call, exchangeOf(call).request) };
}

function answer(question: Question, verdict: LimitVerdict | Promise<LimitVerdict>): Answer {
  const copy = { ...(verdict as LimitVerdict) };
  return { ...question, verdict: copy, taken: copy.allowed };
}

async function askShared(call: Call, shared: readonly Limit[], answers: Answer[]): Promise<void> {
  try {
    for (const limit of shared) {
      const question = questionOf(limit, call);
      if (question === null) continue;
      const given = answer(question, await limit.ask(call, question.key, question.units));
      answers.push(given);
      if (!given.taken) return;
    }
  } catch (error) {
    giveBack(call, answers);
    throw error;
  }
}

function settle(
  call: Call,
  next: Dispatch,
  receiver: Receiver,
  limits: readonly Limit[],
  answers: readonly Answer[],
): void {
  const refused = answers.filter(({ taken }) => !taken);
  if (refused.length > 0) giveBack(call, answers);
  const exchange = exchangeOf(call);
  for (const limit of limits) {
    const found = answers.find((each) => each.limit === limit);
    if (found === undefined) continue;
    const { verdict, units, taken } = found;
    // Whole units that are given back change what is left, and not when the next one comes.
    const left = Math.min(verdict.limit, verdict.remaining + (verdict.allowed && !taken ? Math.floor(units) : 0));
    limit.tell(exchange, { ...verdict, remaining: left, resetMs: left === verdict.limit ? 0 : verdict.resetMs });
  }
  if (refused.length === 0) next(call, receiver);
  else receiver.onError(overLimit(call, refused));
}

function giveBack(call: Call, answers: readonly Answer[]): void {
  for (const each of answers) {
    if (!each.taken) continue;
    each.taken = false;
    each.limit.limiter.giveBack?.(each.key, call.at, each.units);
  }
}
