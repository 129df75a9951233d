/** @module Sends a reply that a layer has made itself, in place of the handler: a cached one, a forwarded one, a fallback. */
import type { ServerResponse } from 'node:http';
import { type BodySink, hopByHopHeaders, type Reply } from '@fairlead/core';

/** Pours a body into a response, no faster than the client reads. */
class ResponseSink implements BodySink {
  readonly #resume = (): void => this.reply.body.resume();

  constructor(
    readonly reply: Reply,
    readonly response: ServerResponse,
  ) {}

  onData(chunk: Uint8Array): void {
    if (this.response.write(chunk)) return;
    this.reply.body.pause();
    this.response.once('drain', this.#resume);
  }

  onEnd(): void {
    this.response.end();
  }

  onError(): void {
    // The head is out, so an answer that breaks off can only be told by breaking off the connection.
    this.response.destroy();
  }
}

/** Answers with `reply`. Whoever calls this cancels the reply's body when the client goes away. */
export function sendReply(response: ServerResponse, reply: Reply): void {
  response.statusCode = reply.status;
  for (const [name, value] of Object.entries(reply.headers)) {
    if (value !== undefined && !hopByHopHeaders.has(name)) response.setHeader(name, value);
  }
  reply.body.attach(new ResponseSink(reply, response));
}
