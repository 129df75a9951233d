/**
 * @module What the headers of a request say to a guard, found in one pass over them: how long its caller will wait, whether
 * it was sent before, and how critical it is.
 */
import { attemptHeader, criticalityHeader, criticalityKey, criticalityRank } from '@fairlead/core';
import { readTell, tellHeader } from '../tell.js';
import { grpcAttemptsHeader, parseCount } from './inbound-attempt.js';
import { envoyTimeoutHeader, grpcTimeoutHeader, parseGrpcTimeout, parseMs, timeoutHeader } from './inbound-deadline.js';

/** What a request says of itself. */
export class InboundHeaders {
  /** The least of all timeouts, in ms; `Infinity` if there is none. */
  timeoutMs: number = Number.POSITIVE_INFINITY;
  /** Which attempt it is, from 1. */
  attempt = 1;
  /** 0 for the most critical class to 3 for the least; -1 if it says nothing. */
  rank = -1;
  /** What it asks to be told: `LOAD`, `TIMING`, both or 0. */
  tell = 0;
  /** Whether it announces a body. */
  hasBody = false;

  /**
   * Reads `headers`, names and values in turn, in whatever case; what is malformed counts as not there. This one object can
   * be used for any number of requests.
   */
  read(headers: readonly string[]): this {
    let timeoutMs = Number.POSITIVE_INFINITY;
    let attempt = 1;
    let rank = -1;
    let tell = 0;
    let hasBody = false;
    let baggage: string | null = null;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      // Lengths first: they tell these from nearly everything else without touching a character.
      switch (name.length) {
        case timeoutHeader.length:
          if (is(name, timeoutHeader)) timeoutMs = Math.min(timeoutMs, parseMs(headers[i + 1] as string));
          break;
        case envoyTimeoutHeader.length:
          if (is(name, envoyTimeoutHeader)) timeoutMs = Math.min(timeoutMs, parseMs(headers[i + 1] as string));
          break;
        case grpcTimeoutHeader.length:
          if (is(name, grpcTimeoutHeader)) timeoutMs = Math.min(timeoutMs, parseGrpcTimeout(headers[i + 1] as string));
          break;
        // As long as the header that says how critical it is.
        case attemptHeader.length:
          if (is(name, attemptHeader)) attempt = Math.max(attempt, parseCount(headers[i + 1] as string));
          else if (rank < 0 && is(name, criticalityHeader)) rank = criticalityRank(headers[i + 1] as string) ?? -1;
          break;
        case grpcAttemptsHeader.length:
          if (is(name, grpcAttemptsHeader)) attempt = Math.max(attempt, parseCount(headers[i + 1] as string) + 1);
          break;
        case lengthHeader.length:
          if (is(name, lengthHeader)) hasBody = headers[i + 1] !== '0';
          break;
        case codingHeader.length:
          if (is(name, codingHeader)) hasBody = true;
          break;
        case tellHeader.length:
          if (is(name, tellHeader)) tell = readTell(headers[i + 1] as string);
          break;
        case baggageHeader.length:
          if (baggage === null && is(name, baggageHeader)) baggage = headers[i + 1] as string;
      }
    }
    if (rank < 0 && baggage !== null && baggage.includes(criticalityKey)) rank = rankInBaggage(baggage);
    this.timeoutMs = timeoutMs;
    this.attempt = attempt;
    this.rank = rank;
    this.tell = tell;
    this.hasBody = hasBody;
    return this;
  }
}

const baggageHeader = 'baggage';
const lengthHeader = 'content-length';
const codingHeader = 'transfer-encoding';

function is(name: string, wanted: string): boolean {
  return name === wanted || name.toLowerCase() === wanted;
}

const member = new RegExp(`(?:^|,)[ \\t]*${criticalityKey}[ \\t]*=[ \\t]*([A-Za-z_-]{1,16})[ \\t]*(?=[,;]|$)`);

function rankInBaggage(baggage: string): number {
  const said = member.exec(baggage)?.[1];
  return said === undefined ? -1 : (criticalityRank(said) ?? -1);
}
