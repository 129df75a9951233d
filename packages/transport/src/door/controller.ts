/** @module The one handle on a dispatch that its caller gets, whatever attempts are made behind it. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from '../undici.js';

/** What a handle acts on. */
export interface Controlled {
  pause(): void;
  resume(): void;
  abort(reason: Error | null | undefined): void;
}

/** undici's controller, except that it works from the very start: also while nothing has been sent. */
export class DoorController implements Dispatcher.DispatchController {
  paused = false;
  aborted = false;
  reason: Error | null = null;
  rawHeaders: Buffer[] | string[] | IncomingHttpHeaders | null = null;
  rawTrailers: Buffer[] | string[] | IncomingHttpHeaders | null = null;
  readonly #exchange: Controlled;

  constructor(exchange: Controlled) {
    this.#exchange = exchange;
  }

  pause(): void {
    this.paused = true;
    this.#exchange.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.#exchange.resume();
  }

  abort(reason?: Error | null): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason as Error | null;
    this.#exchange.abort(reason);
  }
}
