/**
 * @module What a Service of Kubernetes is to those who call it: one address, of which each new connection goes to one of the
 * replicas that were ready a moment ago. A connection stays with its replica, ready or not, until either end closes it. It
 * knows nothing of HTTP, tries nothing twice, and hides nothing: which is why it is not haproxy.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Service {
  readonly port: number;
  /** Where new connections go from now on. */
  ready: readonly number[];
  close(): void;
}

/** Opens the address. */
export async function openService(ready: readonly number[]): Promise<Service> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const { ready } = service;
    const port = ready[Math.floor(Math.random() * ready.length)] as number;
    const replica = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    for (const [one, other] of [
      [client, replica],
      [replica, client],
    ] as const) {
      sockets.add(one);
      one.on('data', (chunk) => other.write(chunk));
      one.on('end', () => other.end());
      // Whatever is not a clean end is passed on as what it is.
      one.on('error', () => other.resetAndDestroy());
      one.on('close', () => sockets.delete(one));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const service = {
    port: (server.address() as { port: number }).port,
    ready,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return service;
}
