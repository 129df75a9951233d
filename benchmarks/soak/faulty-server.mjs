// Answers canned bytes, and does to a share of the requests whatever goes wrong in networks. Which, and to which, is always
// the same order of chances. `node faulty-server.mjs PORTS`; asked with "open" it tells how many connections are open
import { createServer } from 'node:net';

const ports = Number(process.argv[2] ?? 1);
const body = JSON.stringify({ id: 'ch_3MmlLrLkdIwHu7ix0snN0B15', amount: 4200, status: 'succeeded' });
const long = 'x'.repeat(20_000);

/** @param {string} status @param {string} content */
const reply = (status, content) =>
  Buffer.from(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${content.length}\r\n\r\n${content}`,
  );
const good = reply('200 OK', body);
const unavailable = reply('503 Service Unavailable', 'no');
const large = reply('200 OK', JSON.stringify({ long }));

/** Mulberry32: chances that repeat. */
let seed = 1;
function chance() {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
}

/** Per ten thousand requests, and what happens to them. @type {[number, (socket: import('node:net').Socket) => void][]} */
const faults = [
  [100, (socket) => socket.write(unavailable)],
  [100, (socket) => socket.write(large)],
  [20, (socket) => setTimeout(() => socket.write(good), 20)],
  [10, (socket) => socket.resetAndDestroy()],
  [10, (socket) => socket.end()],
  [10, (socket) => socket.end(good)],
  [5, (socket) => socket.end(large.subarray(0, 5_000))],
  [5, (socket) => socket.end('HTTP/1.1 2000 what\r\n\r\n')],
  [2, () => {}],
];

/** @param {import('node:net').Socket} socket */
function answer(socket) {
  let point = chance() * 10_000;
  for (const [share, happens] of faults) {
    point -= share;
    if (point < 0) return happens(socket);
  }
  socket.write(good);
}

const servers = Array.from({ length: ports }, () =>
  createServer({ noDelay: true }, (socket) => {
    let tail = '';
    socket.on('data', (data) => {
      // One request at a time comes on a connection.
      tail = (tail + data.toString('latin1', Math.max(0, data.length - 4))).slice(-4);
      if (tail === '\r\n\r\n') answer(socket);
    });
    socket.on('error', () => {});
  }),
);

/** @param {import('node:net').Server} server */
const connections = (server) => new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
process.on('message', async () => {
  const counts = await Promise.all(servers.map(connections));
  process.send?.(counts.reduce((sum, count) => sum + count, 0));
});
process.on('disconnect', () => process.exit(0));
process.send?.(
  await Promise.all(
    servers.map(
      (server) =>
        new Promise((resolve) =>
          server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`)),
        ),
    ),
  ),
);
