/**
 * @module gRPC's own client, which balances, retries and keeps deadlines by itself: the closest thing to Fairlead that
 * exists. It speaks HTTP/2 to servers of its own, so the bytes on the wire differ; the message is the same JSON.
 */
import { startApart } from '../apart.ts';
import type { Case } from '../overhead/cases.ts';
import { installed } from './installed.ts';

/** What is used of `@grpc/grpc-js`. */
export interface Grpc {
  readonly credentials: { createInsecure(): unknown };
  makeGenericClientConstructor(
    definition: object,
    name: string,
  ): new (
    target: string,
    credentials: unknown,
    options: object,
  ) => {
    get(request: object, options: object, callback: (error: Error | null, reply: unknown) => void): void;
    close(): void;
  };
}

const ENDPOINTS = 5;

const balancing = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [
    {
      name: [{}],
      retryPolicy: {
        maxAttempts: 3,
        initialBackoff: '0.025s',
        maxBackoff: '0.25s',
        backoffMultiplier: 2,
        retryableStatusCodes: ['UNAVAILABLE'],
      },
    },
  ],
};

/** Nothing if it is not installed. */
export async function grpcRoundRobin(): Promise<Case[]> {
  const grpc = await installed<Grpc>('@grpc/grpc-js');
  if (grpc === null) return [];
  const { definition } = await import('./grpc-service.mjs');
  return [
    {
      name: '@grpc/grpc-js, round robin, 2 retries, deadline',
      share: 0.25,
      async open() {
        const server = await startApart<number[]>('peers/grpc-server.mjs', String(ENDPOINTS));
        const Client = grpc.makeGenericClientConstructor(definition, 'Charges');
        const target = `ipv4:${server.ready.map((port) => `127.0.0.1:${port}`).join(',')}`;
        const client = new Client(target, grpc.credentials.createInsecure(), {
          'grpc.service_config': JSON.stringify(balancing),
        });
        return {
          call: () =>
            new Promise((resolve, reject) => {
              const deadline = Date.now() + 2_000;
              client.get({ id: 42 }, { deadline }, (error, reply) => (error === null ? resolve(reply) : reject(error)));
            }),
          close: async () => {
            client.close();
            server.process.kill();
          },
        };
      },
    },
  ];
}
