/** @module The least of a transport, over node:http. */
import { request } from 'node:http';
import {
  type Call,
  type EndListener,
  type Reply,
  type ReplyBody,
  systemClock,
  TransportError,
  tellEnd,
} from '@fairlead/core';

/** Its requests end with the scope, and its replies tell when they are over. */
export function httpHandler(call: Call): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = {};
    for (let i = 0; i < call.headers.length; i += 2) headers[call.headers[i] as string] = call.headers[i + 1] as string;
    const outgoing = request(`${call.endpoint?.origin}${call.path}`, { headers, agent: false }, (incoming) => {
      const listeners: EndListener[] = [];
      const over = (error: unknown): void => {
        call.scope.unwatch(watcher);
        for (const listener of listeners.splice(0)) tellEnd(listener, error);
      };
      const body: ReplyBody = {
        attach(sink) {
          incoming.on('data', (chunk: Buffer) => sink.onData(chunk));
          incoming.on('end', () => {
            over(null);
            sink.onEnd({});
          });
          incoming.on('error', (error) => {
            over(error);
            sink.onError(error);
          });
        },
        pause: () => incoming.pause(),
        resume: () => incoming.resume(),
        cancel: (reason) => void incoming.destroy(reason as Error),
      };
      const onEnd = (listener: EndListener): void => void listeners.push(listener);
      const { statusCode: status = 0, headers: received } = incoming;
      resolve({ status, headers: received, body, endpoint: call.endpoint, at: systemClock.now(), onEnd });
    });
    const watcher = { onCancel: (reason: unknown) => void outgoing.destroy(reason as Error) };
    call.scope.watch(watcher);
    outgoing.on('error', (cause) => reject(new TransportError({ phase: 'wait', sent: 'maybe', cause }))).end();
  });
}
