// A server that costs next to nothing, so that the client is what is measured: it counts the ends of requests in the
// bytes that arrive and answers each with the same bytes. GET only. `node canned-server.mjs PORTS`
import { createServer } from 'node:net';

const ports = Number(process.argv[2] ?? 1);
const body = JSON.stringify({
  id: 'ch_3MmlLrLkdIwHu7ix0snN0B15',
  amount: 4200,
  currency: 'EUR',
  status: 'succeeded',
  customer: 'cus_NffrFeUfNV2Hib',
  captured: true,
});
const reply = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
);
const many = Array.from({ length: 64 }, (_, n) => Buffer.concat(Array.from({ length: n }, () => reply)));

const listening = [];
for (let i = 0; i < ports; i++) {
  const server = createServer({ noDelay: true }, (socket) => {
    let matched = 0; // how much of \r\n\r\n the last chunk ended with
    socket.on('data', (chunk) => {
      let requests = 0;
      for (const byte of chunk) {
        if (byte === (matched % 2 === 0 ? 13 : 10)) {
          if (++matched === 4) {
            requests++;
            matched = 0;
          }
        } else matched = byte === 13 ? 1 : 0;
      }
      if (requests > 0) socket.write(many[requests] ?? Buffer.concat(Array.from({ length: requests }, () => reply)));
    });
    socket.on('error', () => {});
  });
  listening.push(
    new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`))),
  );
}
process.send?.(await Promise.all(listening));
process.on('disconnect', () => process.exit(0));
