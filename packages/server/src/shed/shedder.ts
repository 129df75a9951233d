/** @module What a guard and a shedder are to each other. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { InboundHeaders } from '../headers/inbound-headers.js';
import type { Next } from '../next.js';

/** Who lets requests in, and turns them away, as a shedder says. */
export interface Door {
  /** The rank of a request that says nothing of itself. */
  readonly ordinary: number;
  /** What a request says of itself, as far as it is believed. The object may be used again, so read it at once. */
  read(request: IncomingMessage): InboundHeaders;
  /** Takes a request that came at `at` to its handler at `now`; `leave` of the shedder is called once it has been answered. */
  letIn(request: IncomingMessage, response: ServerResponse, next: Next, at: number, now: number): void;
  /** Answers in place of the handler that there is no room. */
  turnAway(request: IncomingMessage, response: ServerResponse): void;
  /** A request that is being let in would have been turned away if the shedder did more than watch. */
  wouldTurnAway(): void;
}

/** Decides whom a server lets in. Made by `shed`, one for each guard. */
export interface Shedder {
  /** A request has come at monotonic time `at`: lets it in through `door`, now or soon, or turns it away. */
  arrive(door: Door, request: IncomingMessage, response: ServerResponse, next: Next, at: number): void;
  /** A request that is being let in has a body, which may be slow to come. */
  upload(request: IncomingMessage): void;
  /** A request that was let in has been answered, after `ms`, or, for null, has ended otherwise. */
  leave(request: IncomingMessage, ms: number | null): void;
  /** What is asked of this process, over what it can do. */
  readonly demand: number;
  /** The share of what is asked for that is let in, 0 to 1, in the form that callers are told; null while all is. */
  readonly admission: string | null;
  /** How loaded this process is, in the text form of ORCA's load reports; null if that is not known. */
  readonly loadReport: string | null;
  /** How many handlers may work at a time, at present. */
  readonly limit: number;
  /** How many do, those included that wait for what their callers send. */
  readonly inFlight: number;
  /** How many wait. */
  readonly waiting: number;
}
