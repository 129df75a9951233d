/** @module One thing that callers of undici do with a dispatcher, and what most of them have in common. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from '../src/undici.js';
import { undici } from './door.js';

/** One subject. */
export interface Subject {
  readonly name: string;
  /** Does it with `dispatcher` to `origin`, and says what it saw. What it throws counts as seen. */
  run(dispatcher: Dispatcher, origin: string): Promise<unknown>;
  /** What the server does. Default: answers with what it got. */
  readonly answer?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Why it is another thing through the door; the test fails once it no longer is. */
  readonly differs?: string;
}

type Ask = Record<string, unknown>;

/** `request` with these options. */
export const asking =
  (ask: Ask | (() => Ask), path = '/'): Subject['run'] =>
  async (dispatcher, origin) => {
    const options = typeof ask === 'function' ? ask() : ask;
    const { statusCode, statusText, headers, body, trailers } = await undici.request(origin + path, {
      dispatcher,
      ...options,
    } as never);
    return [statusCode, statusText, headers, await body.text(), trailers];
  };

export const put = (body: () => unknown, headers: Ask = {}): Subject['run'] =>
  asking(() => ({ method: 'PUT', body: body(), headers }));

/** A server that says these bytes, with `\n` for the ends of lines, and closes unless `end` is false. */
export const raw =
  (head: string, end = true): Subject['answer'] =>
  (request) => {
    request.resume();
    request.socket.write(head.replaceAll('\n', '\r\n'));
    if (end) request.socket.end();
  };

/** Through `dispatch` alone. */
export function dispatchOf(dispatcher: Dispatcher, options: Dispatcher.DispatchOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    dispatcher.dispatch(options, {
      onRequestStart() {},
      onResponseStart: (_: unknown, status: number) => resolve(status),
      onResponseData() {},
      onResponseEnd() {},
      onResponseError: (_: unknown, error: Error) => reject(error),
    });
  });
}
