/**
 * Servers at the far ends of all cables: HTTP/1 on port 80, HTTP/2 without TLS on 81. The path says what becomes of a request:
 * `/held` is answered when the test says so, `/half/1000` gets half of a body of 1000 bytes, `/deaf` is not even read,
 * everything else gets `ok`. Tells each request that has arrived, and on `connections` those that are open.
 */
import { createServer } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';

const sockets = new Set();
const held = new Set();

function serve(request, response) {
  const { url } = request;
  process.send({ arrived: url });
  response.on('error', () => {});
  request.on('error', () => {});
  if (url === '/deaf') return;
  request.resume();
  if (url === '/held') {
    held.add(response);
  } else if (url.startsWith('/half/')) {
    const bytes = Number(url.slice(6));
    response.writeHead(200, { 'content-length': bytes });
    response.write('x'.repeat(bytes / 2));
  } else {
    request.on('end', () => response.end('ok'));
  }
}

let listening = 0;
for (const [port, server] of [
  [80, createServer({ keepAliveTimeout: 60_000 }, serve)],
  [81, createHttp2(serve)],
]) {
  server.on('session', (session) => session.on('error', () => {}));
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  server.listen(port, '0.0.0.0', () => ++listening === 2 && process.send({ ready: true }));
}

process.on('message', (wish) => {
  if (wish === 'answer') {
    for (const response of held) response.end('late');
    held.clear();
  } else if (wish === 'connections') {
    const open = [...sockets].filter((socket) => !socket.destroyed);
    process.send({
      connections: open.map(({ localAddress, localPort, remotePort }) => ({ localAddress, localPort, remotePort })),
    });
  }
});
// Whoever started it is gone.
process.on('disconnect', () => process.exit());
