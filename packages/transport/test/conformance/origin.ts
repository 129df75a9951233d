/** @module A server that keeps what it was sent, byte by byte, and answers with whatever bytes a subject gives it. */
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** Header pairs, or one name and value after the other. */
export type RawHeaders = readonly (readonly [string, string])[] | Readonly<Record<string, string>>;

/** One request, and the means to answer it. */
export class Exchange {
  body: Buffer = Buffer.alloc(0);
  /** Whether the whole body has arrived. */
  whole = false;

  constructor(
    /** Which of the servers. */
    readonly server: string,
    /** The number of the request, from 1, over all connections. */
    readonly n: number,
    /** The number of the connection that it came over, from 1. */
    readonly connection: number,
    readonly method: string,
    readonly path: string,
    /** As sent: order and case. */
    readonly headers: readonly (readonly [string, string])[],
    readonly socket: Socket,
  ) {}

  header(name: string): string | undefined {
    return this.headers.find(([each]) => each.toLowerCase() === name)?.[1];
  }

  /** A whole answer, with a content-length unless the status or the headers say otherwise. */
  reply(status: number, headers: RawHeaders = {}, body: string | Buffer = '', reason = 'Reason'): void {
    const pairs = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
    const framed = pairs.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name));
    if (!framed && status !== 204 && status !== 304) pairs.push(['content-length', String(Buffer.byteLength(body))]);
    const lines = pairs.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const head = Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${lines}\r\n`, 'latin1');
    // At once, so that nothing depends on what comes between the two.
    this.socket.write(this.method === 'HEAD' ? head : Buffer.concat([head, Buffer.from(body as string)]));
  }

  /** Whatever is to be on the wire. */
  raw(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** Resolves when the connection is gone. */
  gone(): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed) resolve();
      else this.socket.once('close', () => resolve());
    });
  }
}

/** A server, and what it was sent. */
export interface Origin {
  readonly port: number;
  readonly exchanges: readonly Exchange[];
  readonly connections: number;
  /** Resolves when the `n`th request has arrived, the first is 1. */
  arrived(n: number): Promise<Exchange>;
  close(): Promise<void>;
}

/** Starts one; `answer` is called once for each request: with its head if `atHead`, else when its body is complete. */
export async function startOrigin(
  name: string,
  answer: (exchange: Exchange) => void,
  atHead: boolean,
): Promise<Origin> {
  const exchanges: Exchange[] = [];
  const sockets = new Set<Socket>();
  const waiting = new Map<number, (exchange: Exchange) => void>();
  let connections = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    const reader = new RequestReader(
      (method, path, headers) => {
        const exchange = new Exchange(name, exchanges.length + 1, connection, method, path, headers, socket);
        exchanges.push(exchange);
        waiting.get(exchange.n)?.(exchange);
        if (atHead) answer(exchange);
        return exchange;
      },
      (exchange) => {
        exchange.whole = true;
        if (!atHead) answer(exchange);
      },
    );
    socket.on('data', (data) => reader.read(data));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    exchanges,
    get connections() {
      return connections;
    },
    arrived: (n) => {
      const there = exchanges[n - 1];
      return there === undefined ? new Promise((resolve) => waiting.set(n, resolve)) : Promise.resolve(there);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

type Begin = (method: string, path: string, headers: [string, string][]) => Exchange;

/** Cuts what arrives on one connection into requests. */
class RequestReader {
  #buffer: Buffer = Buffer.alloc(0);
  #exchange: Exchange | null = null;
  #left = 0;
  #chunked = false;

  constructor(
    readonly begin: Begin,
    readonly end: (exchange: Exchange) => void,
  ) {}

  read(data: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    while (this.#exchange === null ? this.#head() : this.#chunked ? this.#chunk() : this.#piece());
  }

  #take(bytes: number): Buffer {
    const taken = this.#buffer.subarray(0, bytes);
    this.#buffer = this.#buffer.subarray(bytes);
    return taken;
  }

  #head(): boolean {
    const end = this.#buffer.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const [first = '', ...lines] = this.#take(end + 4)
      .toString('latin1', 0, end)
      .split('\r\n');
    const [, method = '', path = ''] = /^(\S+) (.*) HTTP\/1\.1$/.exec(first) ?? [];
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    });
    this.#exchange = this.begin(method, path, headers);
    this.#chunked = this.#exchange.header('transfer-encoding') === 'chunked';
    this.#left = Number(this.#exchange.header('content-length') ?? 0);
    return true;
  }

  #piece(): boolean {
    const exchange = this.#exchange as Exchange;
    const piece = this.#take(Math.min(this.#left, this.#buffer.length));
    exchange.body = Buffer.concat([exchange.body, piece]);
    this.#left -= piece.length;
    return this.#left === 0 && this.#over(exchange);
  }

  /** A chunk's end may come with the next one only, so each is taken as it comes, and its end with the next size. */
  #chunk(): boolean {
    const exchange = this.#exchange as Exchange;
    if (this.#left > 0) {
      const piece = this.#take(Math.min(this.#left, this.#buffer.length));
      exchange.body = Buffer.concat([exchange.body, piece]);
      this.#left -= piece.length;
      return piece.length > 0;
    }
    const start = exchange.body.length === 0 ? 0 : 2;
    const end = this.#buffer.indexOf('\r\n', start);
    if (end < 0) return false;
    const size = Number.parseInt(this.#buffer.toString('latin1', start, end), 16);
    if (size === 0 && this.#buffer.length < end + 4) return false;
    this.#take(end + (size === 0 ? 4 : 2));
    this.#left = size;
    return size > 0 || this.#over(exchange);
  }

  #over(exchange: Exchange): boolean {
    this.#exchange = null;
    this.end(exchange);
    return true;
  }
}
