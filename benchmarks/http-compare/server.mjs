// Answers each path with the same bytes, over plain connections, TLS and HTTP/2, and reads whatever is sent away. Nothing of
// HTTP is parsed beyond where a request ends. `node server.mjs PORTS [CERTIFICATE KEY]`, ports per protocol
import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

const [ports = '1', certificate, key] = process.argv.slice(2);
const MiB = 1 << 20;

const item = { id: 'ch_3MmlLrLkdIwHu7ix0snN0B15', amount: 4200, currency: 'EUR', status: 'succeeded', captured: true };
const list = JSON.stringify(Array.from({ length: 95 }, (_, i) => ({ ...item, line: i })));
const many = Object.fromEntries(
  Array.from({ length: 58 }, (_, i) => [`x-header-${i}`, `value ${i} of a usual length`]),
);

/** @type {Record<string, { headers: Record<string, string>, body: Buffer }>} */
const replies = {
  '/small': { headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(item)) },
  '/list': { headers: { 'content-type': 'application/json' }, body: Buffer.from(list) },
  '/headers': { headers: { 'content-type': 'application/json', ...many }, body: Buffer.from(JSON.stringify(item)) },
  '/large': { headers: { 'content-type': 'application/octet-stream' }, body: Buffer.alloc(MiB, 97) },
};

/** @type {Map<string, Buffer>} */
const wire = new Map();
for (const [path, { headers, body }] of Object.entries(replies)) {
  const lines = Object.entries({ ...headers, 'content-length': body.length }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  wire.set(path, Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`), body]));
}

/** @param {import('node:net').Socket} socket */
function answer(socket) {
  let head = '';
  let path = '';
  /** How much of a body is still to come: bytes, or with 'chunks' whatever ends with the last chunk. 0 between requests. */
  let left = /** @type {number | 'chunks'} */ (0);
  let tail = '';
  socket.on('error', () => {});
  socket.on('data', (data) => {
    let chunk = data;
    if (left === 0) {
      const before = head.length;
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      chunk = chunk.subarray(end + 4 - before);
      path = head.slice(head.indexOf(' ') + 1, head.indexOf(' ', head.indexOf(' ') + 1));
      const length = /\r\ncontent-length: (\d+)/i.exec(head.slice(0, end));
      left = /\r\ntransfer-encoding: chunked/i.test(head.slice(0, end)) ? 'chunks' : Number(length?.[1] ?? 0);
      head = '';
      tail = '';
    }
    if (left === 'chunks') {
      tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 5))).slice(-5);
      if (tail === '0\r\n\r\n') left = 0;
    } else left -= chunk.length;
    if (left === 0) socket.write(wire.get(path) ?? '');
  });
}

/** @param {import('node:net').Server} server @param {string} scheme @returns {Promise<string>} */
function listen(server, scheme) {
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(`${scheme}://127.0.0.1:${server.address().port}`)),
  );
}

/** @param {() => Promise<string>} start */
const all = (start) => Promise.all(Array.from({ length: Number(ports) }, start));

const ready = { http: await all(() => listen(createServer({ noDelay: true }, answer), 'http')), https: [], http2: [] };
if (certificate !== undefined && key !== undefined) {
  const tls = { cert: readFileSync(certificate), key: readFileSync(key), noDelay: true };
  ready.https = await all(() => listen(createTlsServer(tls, answer), 'https'));
  ready.http2 = await all(() => {
    const server = createSecureServer({ ...tls, settings: { maxConcurrentStreams: 256 } });
    server.on('stream', (stream, headers) => {
      const { headers: sent, body } = replies[headers[':path'] ?? ''] ?? replies['/small'];
      stream.on('error', () => {});
      stream.resume();
      stream.respond({ ':status': 200, ...sent, 'content-length': body.length });
      stream.end(body);
    });
    server.on('sessionError', () => {});
    return listen(server, 'https');
  });
}
process.send?.(ready);
process.on('disconnect', () => process.exit(0));
