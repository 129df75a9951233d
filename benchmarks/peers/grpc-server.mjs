// Answers each gRPC call with the same message. `node grpc-server.mjs PORTS`
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { definition } from './grpc-service.mjs';

const reply = {
  id: 'ch_3MmlLrLkdIwHu7ix0snN0B15',
  amount: 4200,
  currency: 'EUR',
  status: 'succeeded',
  customer: 'cus_NffrFeUfNV2Hib',
  captured: true,
};

const ports = Array.from({ length: Number(process.argv[2] ?? 1) }, () => {
  const server = new Server();
  server.addService(definition, { get: (_call, callback) => callback(null, reply) });
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
});
process.send?.(await Promise.all(ports));
process.on('disconnect', () => process.exit(0));
