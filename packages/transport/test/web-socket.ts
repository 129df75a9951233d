/** @module The server's side of a WebSocket, as far as tests need it. */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';

/** Accepts a WebSocket and sends the message `hi`: what a raw server does with a head. */
export function acceptWebSocket(socket: Socket, head: string): void {
  const key = /sec-websocket-key: (.+)/i.exec(head)?.[1]?.trim() ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n');
  socket.write(`sec-websocket-accept: ${accept}\r\n\r\n`);
  socket.write(Buffer.from([0x81, 2, 104, 105]));
}
