/** @module The head of a reply on its way to a client of node:http. */
import { type ServerResponse, STATUS_CODES } from 'node:http';
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

/**
 * A head with nothing behind it, as it goes over a connection: that of an interim answer, or of one after which the
 * connection speaks something else.
 * @param rawHeaders names and values in turn, as undici has them
 */
export function rawHead(status: number, statusText: string, rawHeaders: unknown): string {
  const raw = rawHeaders as readonly (Buffer | string)[];
  let head = `HTTP/1.1 ${status} ${statusText || STATUS_CODES[status] || ''}\r\n`;
  for (let i = 0; i < raw.length; i += 2) head += `${text(raw[i])}: ${text(raw[i + 1])}\r\n`;
  return `${head}\r\n`;
}

/** Bytes as they are, each a character. */
function text(value: Buffer | string | undefined): string {
  return typeof value === 'object' ? value.toString('latin1') : (value ?? '');
}
