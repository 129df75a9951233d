/**
 * @module Brings clients of node:http and node:https onto the stack: axios, got, older SDKs. An agent that connects to a
 * service gets one end of a pair of sockets whose other end is served within the process, so that every request, and not
 * only every connection, is a call of its own.
 */
import { EventEmitter } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FetchOptions } from '../fetch/fetch.js';
import { type ConnectOptions, patchAgents } from './agents.js';
import { ClientSocket, SecureClientSocket } from './client-socket.js';
import { exchange } from './exchange.js';
import { refuseTunnel } from './refuse.js';
import type { ServerSocket } from './server-socket.js';
import { upgrade } from './upgrade.js';

/** What {@link createBridge} needs to know. */
export type BridgeOptions = Pick<FetchOptions, 'route'>;

/** Brings clients of node:http and node:https onto the stack. */
export interface Bridge {
  /**
   * Puts the bridge in front of the agents of node:http and node:https. Installing it twice is installing it once.
   * @returns puts back what was there, and closes the connections that were made, each as soon as its request is answered
   */
  install(): () => void;
}

/** Makes a bridge. It does nothing before it is installed. */
export function createBridge({ route }: BridgeOptions): Bridge {
  const sockets = new Set<ServerSocket>();
  let server: Server | null = null;
  let uninstall: (() => void) | null = null;

  const connect = (options: ConnectOptions, secure: boolean): Duplex | null => {
    // Who names a socket file has chosen whom to talk to.
    if (options.socketPath) return null;
    const host = hostOf(options, secure);
    const found = route(host);
    if (found === null) return null;
    const client = new (secure ? SecureClientSocket : ClientSocket)({ host, route: found });
    if (options.timeout) client.setTimeout(options.timeout);
    const socket = client.server;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    server ??= innerServer();
    server.emit('connection', socket);
    return client;
  };

  return {
    install() {
      if (uninstall !== null) return uninstall;
      const undo = patchAgents(connect);
      const restore = (): void => {
        if (uninstall !== restore) return;
        uninstall = null;
        undo();
        for (const socket of sockets) socket.retire();
      };
      uninstall = restore;
      return restore;
    },
  };
}

/** As `URL.host`: in lower case, an IPv6 address in brackets, a default port left out. */
function hostOf({ host = 'localhost', port }: ConnectOptions, secure: boolean): string {
  const name = host.includes(':') ? `[${host}]` : host.toLowerCase();
  return !port || Number(port) === (secure ? 443 : 80) ? name : `${name}:${port}`;
}

/** A server that never listens. What its clients send are our own requests: time and size are for the stack to limit. */
function innerServer(): Server {
  const server = createServer({ maxHeaderSize: 2 ** 30, requireHostHeader: false, keepAliveTimeout: 0 }, answer);
  server.timeout = 0;
  server.headersTimeout = 0;
  server.requestTimeout = 0;
  server.maxHeadersCount = 0;
  // The answer may be an error, and a body that nobody wants need not be sent.
  server.on('checkContinue', answer);
  server.on('upgrade', upgrade).on('connect', refuseTunnel);
  // Instrumentations watch servers by replacing `emit` of all of them. What comes here is no inbound request.
  server.emit = EventEmitter.prototype.emit;
  return server;
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const socket = request.socket as Duplex as ServerSocket;
  // The date is the endpoint's, or nobody's.
  response.sendDate = false;
  socket.context(exchange, socket, request, response);
}
