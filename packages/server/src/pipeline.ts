/**
 * @module The requests of one connection that are not over yet. There is more than one only if the client sends ahead
 * without waiting for answers (HTTP/1.1 pipelining), which is rare, so only then is more kept than a number.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

const open: unique symbol = Symbol('fairlead.open');
const queue: unique symbol = Symbol('fairlead.queue');

interface Queue {
  readonly requests: Set<IncomingMessage>;
  readonly lost: (request: IncomingMessage) => void;
}

type CountedSocket = Socket & { [open]?: number; [queue]?: Queue };

/**
 * Counts a request in.
 * @param lost called if the connection is lost while the answer to the request waits for its turn. Node 22 tells only the
 * response whose turn it is
 */
export function enterPipeline(request: IncomingMessage, lost: (request: IncomingMessage) => void): void {
  const socket = request.socket as CountedSocket;
  const before = socket[open] ?? 0;
  socket[open] = before + 1;
  if (before === 0) return;
  if (socket[queue] === undefined) {
    socket[queue] = { requests: new Set(), lost };
    socket.once('close', socketClosed);
  }
  socket[queue].requests.add(request);
}

/** Counts a request out. */
export function leavePipeline(request: IncomingMessage): void {
  const socket = request.socket as CountedSocket;
  socket[open] = (socket[open] ?? 1) - 1;
  socket[queue]?.requests.delete(request);
}

/** Whether no other request of its connection is open. */
export function aloneInPipeline(request: IncomingMessage): boolean {
  return ((request.socket as CountedSocket)[open] ?? 1) <= 1;
}

function socketClosed(this: CountedSocket): void {
  const waiting = this[queue];
  if (waiting === undefined) return;
  for (const request of waiting.requests) waiting.lost(request);
}
