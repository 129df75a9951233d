/** @module Says no to what the bridge cannot carry: WebSockets and tunnels. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** Answers 501 with the reason, and closes. */
export function refuseUpgrade(request: IncomingMessage, socket: Duplex): void {
  const what = request.method === 'CONNECT' ? 'CONNECT' : `an upgrade to ${request.headers.upgrade}`;
  const reason = `fairlead: ${what} cannot be sent to a service by node:http; use client.dispatcher\n`;
  socket.on('error', () => {});
  socket.end(
    `HTTP/1.1 501 Not Implemented\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(reason)}\r\n\r\n${reason}`,
  );
}
