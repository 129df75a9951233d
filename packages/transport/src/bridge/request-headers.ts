/** @module The head of a request to our server within the process, as a call has it. */
import type { IncomingMessage } from 'node:http';
import type { HeaderPairs } from '@fairlead/core';
import { withoutHopHeaders } from '../hop-headers.js';
import { parseTarget } from '../target.js';

/**
 * The headers of `request`, those of the hop to our server left out. A `host` that says no more than where the client
 * has connected to is left out as well: what endpoints see is a setting of the service. One that the caller chose stays.
 * @param host where the client has connected to
 */
export function requestHeaders(request: IncomingMessage, host: string): HeaderPairs {
  const { rawHeaders } = request;
  const pairs: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    const value = rawHeaders[i + 1] as string;
    if (name !== 'host' || value.toLowerCase() !== host) pairs.push(name, value);
  }
  return withoutHopHeaders(pairs);
}

/**
 * The path of `request`, as the client wrote it. One that believes to speak to a proxy writes the whole URL; if that is
 * one of the service it counts as its path.
 * @param host where the client has connected to
 */
export function requestPath(request: IncomingMessage, host: string): string {
  const url = request.url as string;
  if (url.charCodeAt(0) === 0x2f || !URL.canParse(url)) return url;
  const target = parseTarget(url);
  return target?.host === host ? target.path : url;
}
