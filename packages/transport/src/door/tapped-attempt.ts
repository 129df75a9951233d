/** @module A try that tells a tap what happens on its connection, and that can end in an upgrade. */
import type { Duplex } from 'node:stream';
import type { Call, Endpoint, ReplyHeaders } from '@fairlead/core';
import { Attempt, type AttemptSettings } from '../attempt.js';
import { noHeaders } from '../body-flow.js';
import type { OriginPool } from '../connections/pools.js';
import type { Dispatcher } from '../undici.js';
import type { ExchangeTap } from './tap.js';

/** An attempt with a tap. */
export class TappedAttempt extends Attempt {
  /** The head as it came, as undici's `controller.rawHeaders` has it. */
  rawHeaders: unknown = null;
  readonly #tap: ExchangeTap;

  constructor(call: Call, endpoint: Endpoint, pool: OriginPool, settings: AttemptSettings, tap: ExchangeTap) {
    super(call, endpoint, pool, settings);
    this.#tap = tap;
  }

  override get hearsInterim(): boolean {
    return true;
  }

  override request(): Dispatcher.DispatchOptions {
    return { ...super.request(), ...this.#tap.wishes };
  }

  override onBodySent(chunk?: unknown): void {
    super.onBodySent();
    this.#tap.onBodySent(chunk);
  }

  override onRequestSent(): void {
    super.onRequestSent();
    this.#tap.onRequestSent();
  }

  override onResponseStarted(): void {
    super.onResponseStarted();
    this.#tap.onResponseStarted();
  }

  override onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: ReplyHeaders,
    statusText?: string,
  ): void {
    const raw = controller.rawHeaders;
    if (status < 200) this.#tap.onInformation(status, headers, statusText ?? '', raw);
    else this.rawHeaders = raw;
    super.onResponseStart(controller, status, headers, statusText);
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: ReplyHeaders,
    socket: Duplex,
  ): void {
    this.released();
    // First the tap, which may still refuse it: the attempt is then over, and hears nothing of what follows.
    this.#tap.onUpgrade(status, headers, socket, controller.rawHeaders);
    super.onResponseStart(controller, status, headers);
    // Not a body that could be left unread.
    this.taken();
    socket.once('close', () => this.onResponseEnd(controller, noHeaders));
  }
}
