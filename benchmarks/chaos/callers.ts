/** @module Those who call: each reads its reply in one of the ways there are, and remembers what it was given. */
import { getEventListeners } from 'node:events';
import {
  type BodySink,
  CanceledError,
  createCall,
  discard,
  errorCode,
  type Handler,
  later,
  type Reply,
  type Runtime,
  Scope,
  type Timer,
} from '@fairlead/core';
import type { FetchInit } from '@fairlead/transport';

/** How a call ended. */
export interface Ending {
  /** Monotonic ms. */
  readonly at: number;
  /** The first piece of the body, if all of it came with a status of 200. */
  readonly text: string | null;
  readonly error: unknown;
}

/** What a caller does. */
export interface Caller {
  readonly number: number;
  readonly service: string;
  readonly method: string;
  /** Ms after which it loses interest; null if it does not. */
  readonly abortMs: number | null;
  /** Whether it does not want the body. */
  readonly discards: boolean;
}

/** What must not be, as it is found. */
export type Complain = (what: string) => void;

const decoder = new TextDecoder();

/** Reads a body, and sees to it that it is told the end once, and nothing after that. */
class StrictSink implements BodySink {
  text = '';
  #ends = 0;
  readonly #complain: Complain;
  readonly #over: (error: unknown) => void;

  constructor(complain: Complain, over: (error: unknown) => void) {
    this.#complain = complain;
    this.#over = over;
  }
  onData(chunk: Uint8Array): void {
    if (this.#ends > 0) this.#complain('data after the end of a body');
    this.text += decoder.decode(chunk);
  }
  onEnd(): void {
    this.#end(null);
  }
  onError(error: unknown): void {
    this.#end(error ?? new Error('no reason given'));
  }
  #end(error: unknown): void {
    if (++this.#ends > 1) this.#complain('a body ended twice');
    else this.#over(error);
  }
}

/** Calls the stack itself. */
export async function callByHand(
  caller: Caller,
  handler: Handler,
  runtime: Runtime,
  complain: Complain,
): Promise<Ending> {
  const { clock } = runtime;
  const { number, service, method, abortMs, discards } = caller;
  const scope = new Scope(clock);
  const abort = abortMs === null ? null : later(clock, abortMs, () => scope.cancel(new CanceledError()));
  const ended = (text: string | null, error: unknown): Ending => {
    if (abort !== null) clock.disarm(abort);
    scope.close();
    if (scope.busy) complain('something hangs on the scope of a call that is over');
    return { at: clock.now(), text, error };
  };
  let reply: Reply;
  try {
    reply = await handler(createCall({ service, method, headers: ['x-call', String(number)], runtime, scope }));
  } catch (error) {
    return ended(null, error);
  }
  let overs = 0;
  reply.onEnd(() => {
    if (++overs > 1) complain('a request was over twice');
  });
  if (discards) {
    discard(reply);
    return ended('', null);
  }
  return new Promise((resolve) => {
    const sink: StrictSink = new StrictSink(complain, (error) => {
      if (overs !== 1 && error === null)
        queueMicrotask(() => overs === 1 || complain('a body ended, and the request is not over'));
      resolve(ended(error === null && reply.status === 200 ? sink.text : null, error));
    });
    reply.body.attach(sink);
  });
}

/** Calls by fetch. */
export async function callByFetch(
  caller: Caller,
  fetch: (url: string, init: FetchInit) => Promise<Response>,
  runtime: Runtime,
  complain: Complain,
): Promise<Ending> {
  const { clock } = runtime;
  const { number, service, method, abortMs, discards } = caller;
  const controller = new AbortController();
  const { signal } = controller;
  let abort: Timer | null = null;
  if (abortMs !== null) abort = later(clock, abortMs, () => controller.abort(new CanceledError()));
  const ended = (text: string | null, error: unknown): Ending => {
    if (abort !== null) clock.disarm(abort);
    if (getEventListeners(signal, 'abort').length > 0)
      complain('a listener is left on the signal of a call that is over');
    return { at: clock.now(), text, error };
  };
  try {
    const reply = await fetch(`http://${service}/`, { method, headers: { 'x-call': String(number) }, signal });
    if (discards) {
      await reply.body?.cancel();
      return ended('', null);
    }
    const text = await reply.text();
    return ended(reply.status === 200 ? text : null, null);
  } catch (error) {
    return ended(null, error);
  }
}

/** What kind of end it was, for a table. */
export function kindOf({ text, error }: Ending): string {
  if (text !== null) return 'good';
  if (error === null) return 'status';
  const own = errorCode(error) === undefined ? (error as { cause?: unknown }).cause : error;
  const { phase } = own as { phase?: string };
  return `${errorCode(own) ?? String(error)}${phase === undefined ? '' : ` in phase ${phase}`}`;
}
