/**
 * @module What a request that does not reach its handler is told: problem details (RFC 9457) with the types that the
 * RateLimit headers draft registers, and when to come back. Nothing of the inside is in it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, errorCode, type RejectedError } from '@fairlead/core';
import { BodyTooLongError, bodyTooLong } from './harden/body-limit.js';

/** Says that a refused request was not processed, so it is safe to send it elsewhere, whatever its method. */
export const nackHeader = 'x-fairlead-nack';

/** Tells how much of what it is asked a server lets in at the moment, from 0 to 1: callers then ask for less. */
export const admissionHeader = 'x-fairlead-admission';

/** A refusal by rate limits, which knows the names of the policies that were violated, and whom the first has refused. */
export type LimitRefusal = RejectedError & { readonly policies?: readonly string[]; readonly key?: string };

/** Why the handler did not run, as far as the client is concerned. */
export type RefusalKind = 'limit' | 'capacity' | 'late' | 'failed';

/** What `error` means to the client: a limit of its own, a shortage of ours, its time was up, or our own failure. */
export function refusalKind(error: unknown): RefusalKind {
  switch (errorCode(error)) {
    case 'ERR_REJECTED':
      return (error as RejectedError).by === 'limit' ? 'limit' : 'capacity';
    case 'ERR_TIMEOUT':
      return 'late';
    default:
      return 'failed';
  }
}

const problems = 'https://iana.org/assignments/http-problem-types#';
const capacityBody = JSON.stringify({
  type: `${problems}temporary-reduced-capacity`,
  title: 'Temporarily reduced capacity',
  status: 503,
});

/** Problem details of the type `about:blank`, which goes without saying. */
export function problemBody(title: string, status: number): string {
  return JSON.stringify({ title, status });
}

const lateBody = problemBody('Deadline exceeded', 504);
const failedBody = problemBody('Internal server error', 500);

/** The status of each kind of refusal. */
export const refusalStatus: Readonly<Record<RefusalKind, number>> = Object.freeze({
  limit: 429,
  capacity: 503,
  late: 504,
  failed: 500,
});

/** Without knowing better, a client is told to stay away for this long, … */
const CAPACITY_SECONDS = 1;
/** … and up to this much longer, so that the refused do not all return at once. */
const JITTER_SECONDS = 2;

/** Answers with a refusal. The head must not have been written yet. */
export function refuse(response: ServerResponse, kind: RefusalKind, error: unknown, clock: Clock): void {
  switch (kind) {
    case 'limit':
      retryAfter(response, (error as RejectedError).retryAfterMs);
      send(response, 429, limitBody((error as LimitRefusal).policies));
      return;
    case 'capacity': {
      const known = wholeSeconds((error as RejectedError).retryAfterMs ?? 0);
      const jitter = Math.floor(clock.random() * (JITTER_SECONDS + 1));
      response.setHeader('Retry-After', String(Math.max(CAPACITY_SECONDS, known) + jitter));
      response.setHeader(nackHeader, 'retryable');
      send(response, 503, capacityBody);
      return;
    }
    case 'late':
      send(response, 504, lateBody);
      return;
    case 'failed':
      if (error instanceof BodyTooLongError) send(response, 413, bodyTooLong);
      else send(response, 500, failedBody);
  }
}

/** What is the same in every refusal for want of capacity, in the form that Node writes without looking at it again. */
const capacityHead = [
  'Content-Type',
  'application/problem+json',
  'Content-Length',
  String(capacityBody.length),
  nackHeader,
  'retryable',
  'Retry-After',
];

/**
 * Refuses for want of capacity, of which a server in an overload does more than anything else: with nothing made but one list
 * of headers, and head and body in one piece.
 * @param admission what callers are told of how much is let in; null if nothing
 * @param last whether the connection is to be given up
 */
export function refuseAtOnce(
  request: IncomingMessage,
  response: ServerResponse,
  admission: string | null,
  last: boolean,
  clock: Clock,
): void {
  const seconds = String(CAPACITY_SECONDS + Math.floor(clock.random() * (JITTER_SECONDS + 1)));
  if (request.httpVersionMajor > 1) {
    // Of HTTP/2, and of stand-ins for requests of WHATWG, of which writeHead takes no such list.
    if (admission !== null) response.setHeader(admissionHeader, admission);
    response.setHeader('Retry-After', seconds);
    response.setHeader(nackHeader, 'retryable');
    send(response, 503, capacityBody);
    return;
  }
  const head = [...capacityHead, seconds];
  if (admission !== null) head.push(admissionHeader, admission);
  if (last) head.push('Connection', 'close');
  response.writeHead(503, head);
  response.end(capacityBody, 'latin1');
}

/** Exact, not jittered: the bucket says when there is room, and says it differently to each caller. */
function retryAfter(response: ServerResponse, ms: number | null): void {
  // A request that costs more than a full bucket will never be allowed, so nothing is said about when.
  if (ms !== Number.POSITIVE_INFINITY) response.setHeader('Retry-After', String(Math.max(1, wholeSeconds(ms ?? 0))));
}

/** Whole seconds, rounded up: a client that waits that long is never early. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

function limitBody(policies: readonly string[] | undefined): string {
  const violated = policies === undefined ? {} : { 'violated-policies': policies };
  return JSON.stringify({ type: `${problems}quota-exceeded`, title: 'Quota exceeded', status: 429, ...violated });
}

/** Answers with a problem that needs no more than a title. */
export function sendProblem(response: ServerResponse, title: string, status: number): void {
  send(response, status, problemBody(title, status));
}

function send(response: ServerResponse, status: number, body: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/problem+json');
  response.setHeader('Content-Length', String(Buffer.byteLength(body)));
  response.end(body);
}
