/**
 * @module What undici publishes of its requests on diagnostics channels, for those that it does not make: instrumentation
 * makes its spans and adds its headers there. Nothing is made while nobody listens.
 */
import { channel } from 'node:diagnostics_channel';
import type { ReplyHeaders } from '@fairlead/core';
import type { Dispatcher } from '../undici.js';

const created = channel('undici:request:create');
const sending = channel('undici:client:sendHeaders');
const sent = channel('undici:request:bodySent');
const answered = channel('undici:request:headers');
const ended = channel('undici:request:trailers');
const failed = channel('undici:request:error');

/** A request as listeners know it from undici. */
export class PublishedRequest {
  readonly origin: string;
  readonly method: string;
  readonly path: string;
  /** Names and values in turn, those that listeners add included. */
  readonly headers: string[];
  completed = false;
  aborted = false;

  constructor({ method, path, headers }: Dispatcher.DispatchOptions, origin: string) {
    this.origin = origin;
    this.method = method;
    this.path = path;
    this.headers = [...(headers as readonly string[])];
    created.publish({ request: this });
  }

  addHeader(name: string, value: string): this {
    this.headers.push(name, value);
    return this;
  }

  sending(socket: unknown): void {
    let headers = '';
    for (let i = 0; i < this.headers.length; i += 2) headers += `${this.headers[i]}: ${this.headers[i + 1]}\r\n`;
    sending.publish({ request: this, headers, socket });
  }

  sent(): void {
    sent.publish({ request: this });
  }

  answered(statusCode: number, headers: ReplyHeaders): void {
    answered.publish({ request: this, response: { statusCode, headers, statusText: '' } });
  }

  ended(trailers: ReplyHeaders): void {
    this.completed = true;
    ended.publish({ request: this, trailers });
  }

  failed(error: unknown): void {
    failed.publish({ request: this, error });
    this.aborted = true;
  }
}

/** Publishes that there is a request; null if nobody listens. */
export function publish(request: Dispatcher.DispatchOptions, origin: string): PublishedRequest | null {
  const heard =
    created.hasSubscribers ||
    answered.hasSubscribers ||
    ended.hasSubscribers ||
    failed.hasSubscribers ||
    sending.hasSubscribers;
  return heard ? new PublishedRequest(request, origin) : null;
}
