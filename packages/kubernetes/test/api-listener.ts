/** @module The {@link ApiModel} behind a real port, over HTTP/1.1, over TLS, or over HTTP/2. Node alone is enough to run it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerResponse } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { After, ApiModel, Wire } from './api-model.ts';

/** How the server is spoken to. */
export type Protocol = 'http' | 'https' | 'h2';

const after: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** A server that can be stopped as they are stopped, and started again on the same port. */
export class ApiListener {
  readonly #model: ApiModel;
  readonly #protocol: Protocol;
  readonly #certificate: { readonly cert: string; readonly key: string } | null;
  #server: Server | null = null;
  readonly #sockets: Set<Socket> = new Set();
  #port = 0;

  constructor(
    model: ApiModel,
    protocol: Protocol = 'http',
    certificate: { readonly cert: string; readonly key: string } | null = null,
  ) {
    this.#model = model;
    this.#protocol = protocol;
    this.#certificate = certificate;
  }

  get origin(): string {
    return `http${this.#protocol === 'http' ? '' : 's'}://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
      const wire = new HttpWire(response);
      response.on('error', () => {});
      response.on('close', this.#model.request(incoming.url as string, wire, after));
    };
    const tls = this.#certificate ?? {};
    // The types of HTTP/2's requests differ from HTTP's in what is not used here.
    if (this.#protocol === 'h2') this.#server = createSecureServer(tls, listener as never);
    else if (this.#protocol === 'https') this.#server = createTlsServer(tls, listener);
    else this.#server = createServer(listener);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {}).once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('sessionError', () => {});
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Everybody is cut off, and nobody gets in. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#model.lose();
    await closed;
  }
}

class HttpWire implements Wire {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }
  head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(status, headers);
    this.#response.flushHeaders();
  }
  write(text: string): void {
    this.#response.write(text);
  }
  end(): void {
    this.#response.end();
  }
  reset(): void {
    const { stream } = this.#response as unknown as Http2ServerResponse;
    if (stream === undefined) this.#response.socket?.destroy();
    else stream.session?.destroy();
  }
}
