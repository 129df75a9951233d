/** @module The head of a reply on its way to a client of node:http. */
import type { ServerResponse } from 'node:http';
import type { Reply } from '@fairlead/core';

/** Headers of the hop between an endpoint and us. Our server makes its own. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Writes status and headers; they are sent together with what is written next. */
export function writeReplyHead(response: ServerResponse, { status, statusText, headers }: Reply): void {
  const pairs: string[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || hopByHop.has(name)) continue;
    if (typeof value === 'string') pairs.push(name, value);
    else for (const each of value) pairs.push(name, each);
  }
  response.writeHead(status, statusText, pairs);
}
