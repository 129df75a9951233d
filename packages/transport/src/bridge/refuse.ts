/** @module Says no to what the bridge cannot carry. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** Answers 501 with the reason, and closes. */
export function refuse(socket: Duplex, what: string): void {
  const reason = `fairlead: ${what} cannot be sent to a service by node:http; use client.dispatcher\n`;
  socket.on('error', () => {});
  socket.end(
    `HTTP/1.1 501 Not Implemented\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(reason)}\r\n\r\n${reason}`,
  );
}

/** What our server makes of a CONNECT. */
export function refuseTunnel(_: IncomingMessage, socket: Duplex): void {
  refuse(socket, 'CONNECT');
}
