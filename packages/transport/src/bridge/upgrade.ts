/**
 * @module A request of a client of node:http that wants to change the protocol: a WebSocket. It is a call like any other,
 * balanced and retried, until an endpoint agrees. From then on the two sockets are spliced, and the endpoint counts the
 * request until its own is closed.
 */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Reply, ReplyHeaders } from '@fairlead/core';
import { noWishes, type TapWishes } from '../door/tap.js';
import { Exchange } from './exchange.js';
import { refuse } from './refuse.js';
import { rawHead } from './reply-head.js';
import { hasBody } from './request-body.js';
import type { ServerSocket } from './server-socket.js';

/** What our server makes of an `upgrade`. */
export function upgrade(request: IncomingMessage, duplex: Duplex, early: Buffer): void {
  const socket = duplex as ServerSocket;
  // node:http does not tell where the body ends and what comes after the answer begins.
  if (hasBody(request)) refuse(socket, 'an upgrade with a body');
  else socket.context(begin, socket, request, early);
}

function begin(socket: ServerSocket, request: IncomingMessage, early: Buffer): void {
  // node:http has let go of the connection, so what an endpoint that does not agree says instead is the last on it.
  const response = new ServerResponse(request);
  response.sendDate = false;
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Duplex as Socket);
  socket.on('drain', () => response.emit('drain'));
  socket.on('error', () => {});
  socket.retired = true;
  new Upgrade(socket, request, response, early).begin();
}

class Upgrade extends Exchange {
  override readonly wishes: TapWishes;
  /** What the client has sent without waiting for the answer. */
  readonly #early: Buffer;

  constructor(socket: ServerSocket, request: IncomingMessage, response: ServerResponse, early: Buffer) {
    super(socket, request, response);
    this.wishes = { ...noWishes, upgrade: request.headers.upgrade as string };
    this.#early = early;
  }

  override onUpgrade(status: number, _: ReplyHeaders, upstream: Duplex, rawHeaders: unknown): void {
    const { socket } = this;
    if (this.over) {
      upstream.destroy();
      return;
    }
    // Not canceled but let go of: no deadline and no end of its caller reaches what is the client's own connection now.
    this.end();
    socket.exchange = null;
    socket.upgraded = true;
    socket.write(rawHead(status, '', rawHeaders));
    if (this.#early.length > 0) upstream.write(this.#early);
    splice(socket, upstream as Socket);
  }

  /** That of an upgrade has no body to be canceled. */
  protected override late(reply: Reply): void {
    if (this.socket.upgraded) this.socket.client.endpoint = reply.endpoint;
    else super.late(reply);
  }
}

/** Makes one connection of two. Each end, half an end and error of one is that of the other. */
function splice(socket: ServerSocket, upstream: Socket): void {
  // Else the end of what the endpoint says would cut what the client has written and we have not yet passed on.
  upstream.allowHalfOpen = true;
  socket.pipe(upstream).pipe(socket);
  upstream.once('error', (error) => socket.client.destroy(error));
  upstream.once('close', () => socket.destroySoon());
  // After an orderly end what was written is still to be sent.
  socket.once('close', () => (socket.readableEnded ? upstream.destroySoon() : upstream.destroy()));
}
