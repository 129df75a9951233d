/**
 * @module Plays what was recorded of a real Kubernetes API server: each exchange byte for byte, in the reads in which it
 * came, with the end that it had; over HTTP/1.1, over TLS, over HTTP/2.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { certificate } from './certificate.js';

/** One request and its answer, as recorded. */
export interface Exchange {
  readonly note?: string;
  readonly request: { readonly path: string };
  readonly response?: {
    readonly status: number;
    readonly headers?: OutgoingHttpHeaders;
    readonly body?: string;
    /** What is not text: compressed, or protobuf. */
    readonly bodyBase64?: string;
    /** Set where only the beginning of the body was kept. */
    readonly bodyLength?: number;
    /** `lineLength` is set where only the beginning of the line was kept. */
    readonly lines?: readonly { readonly line: string; readonly lineLength?: number }[];
    readonly chunks?: readonly (readonly [ms: number, bytes: number])[];
  };
  readonly end: { readonly how: string };
  readonly session?: { readonly goaway?: unknown };
}

const folder = new URL('../../kubernetes/src/traffic/', import.meta.url);

/** Names of everything that was recorded. */
export const recordings: readonly string[] = readdirSync(folder)
  .filter((file) => file !== 'README.md')
  .map((file) => file.replace(/\.json(\.gz)?$/, ''))
  .sort();

/** What was recorded under a name. A file of more than a megabyte is compressed. */
export function recorded(name: string): readonly Exchange[] {
  const files = readdirSync(folder);
  const text = files.includes(`${name}.json`)
    ? readFileSync(new URL(`${name}.json`, folder), 'utf8')
    : gunzipSync(readFileSync(new URL(`${name}.json.gz`, folder))).toString('utf8');
  return JSON.parse(text).exchanges ?? [];
}

/** How the server is spoken to. */
export type Protocol = 'HTTP/1.1' | 'HTTP/1.1 over TLS' | 'HTTP/2 over TLS';

type Incoming = IncomingMessage | Http2ServerRequest;
export type Outgoing = ServerResponse | Http2ServerResponse;

/** A server that asks `script` what to do with each request; whatever is not answered hangs. */
export class ReplayServer {
  script: (url: URL, outgoing: Outgoing) => unknown = () => {};
  readonly protocol: Protocol;
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();

  constructor(protocol: Protocol) {
    this.protocol = protocol;
    const listener = (incoming: Incoming, outgoing: Outgoing): void => {
      outgoing.on('error', () => {});
      this.script(new URL(incoming.url as string, 'http://api.invalid'), outgoing);
    };
    if (protocol === 'HTTP/2 over TLS') this.#server = createSecureServer(certificate, listener);
    else if (protocol === 'HTTP/1.1') this.#server = createServer(listener);
    else this.#server = createTlsServer(certificate, listener);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {}).once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('sessionError', () => {});
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const { port } = this.#server.address() as AddressInfo;
    return `http${this.protocol === 'HTTP/1.1' ? '' : 's'}://127.0.0.1:${port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** Headers that belong to one connection of HTTP/1.1, or to what Node does itself. */
const hop = new Set(['connection', 'transfer-encoding', 'keep-alive', 'date', 'upgrade']);

/** Answers in one go. */
export function say(to: Outgoing, status: number, type: string, body: string): void {
  const response = to as ServerResponse;
  response.writeHead(status, { 'content-type': type });
  response.end(body);
}

/** Plays one exchange. */
export function play({ response, end, session }: Exchange, to: Outgoing): void {
  if (response === undefined) {
    cut(to);
    return;
  }
  const { status, headers = {}, chunks = [] } = response;
  const bytes = bytesOf(response);
  const whole =
    response.bodyLength === undefined && !response.lines?.some(({ lineLength }) => lineLength !== undefined);
  const own = Object.entries(headers).filter(([name]) => !hop.has(name) && (whole || name !== 'content-length'));
  (to as ServerResponse).writeHead(status, Object.fromEntries(own));
  if (session?.goaway !== undefined && 'stream' in to) to.stream.session?.goaway(0);
  (to as ServerResponse).flushHeaders();
  let at = 0;
  for (const [, size] of chunks) {
    // Each write is a chunk, or a DATA frame, of its own.
    if (at < bytes.length) (to as ServerResponse).write(bytes.subarray(at, (at += size)));
  }
  if (at < bytes.length) (to as ServerResponse).write(bytes.subarray(at));
  if (end.how === 'client aborted' && whole) return;
  if (whole && end.how.startsWith('end')) (to as ServerResponse).end();
  else (to as ServerResponse).write('', () => cut(to));
}

function bytesOf({ body, bodyBase64, lines = [] }: NonNullable<Exchange['response']>): Buffer {
  if (bodyBase64 !== undefined) return Buffer.from(bodyBase64, 'base64');
  if (body !== undefined) return Buffer.from(body);
  const cutLine = lines.some(({ lineLength }) => lineLength !== undefined);
  return Buffer.from(lines.map(({ line }) => line).join('\n') + (lines.length > 0 && !cutLine ? '\n' : ''));
}

/** The connection breaks, as when the process at its other end dies. */
export function cut(to: Outgoing): void {
  if ('stream' in to) to.stream.session?.destroy();
  else if (to.socket !== null && 'encrypted' in to.socket) to.socket.destroy();
  else to.socket?.resetAndDestroy();
}
