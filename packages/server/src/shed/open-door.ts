/** @module Lets everybody in, knows nothing, costs nothing: a shedder that is off. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Next } from '../next.js';
import type { Door, Shedder } from './shedder.js';

/** See the module. */
export class OpenDoor implements Shedder {
  readonly demand = 0;
  readonly admission = null;
  readonly loadReport = null;
  readonly limit = Number.POSITIVE_INFINITY;
  readonly waiting = 0;
  inFlight = 0;

  arrive(door: Door, request: IncomingMessage, response: ServerResponse, next: Next, at: number): void {
    this.inFlight++;
    door.letIn(request, response, next, at, at);
  }

  upload(): void {}

  leave(): void {
    this.inFlight--;
  }
}
