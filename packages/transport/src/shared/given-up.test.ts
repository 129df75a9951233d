// Catches: the process hanging, at all the CPU that there is, when a call is given up that has begun to send its body over
// HTTP/2. node:http2 does that to whoever destroys a stream of which DATA is left without having reset it: nghttp2 asks for
// the rest for ever (so does undici 8.12.4; Node 22, 24 and 26). And a connection that is no good after it.
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import { Scope, systemClock } from '@fairlead/core';
import { afterEach, describe, expect, it } from 'vitest';
import { call, nextTurn, rejection, serve, type TestServer } from '../../test/servers.js';
import { createTransport } from '../transport.js';

const transport = createTransport({ http2: true });
let server: TestServer | null = null;
afterEach(async () => {
  await transport.close(0);
  await server?.close();
});

/** A body in pieces, the first of which is there. */
async function* pieces(): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 4; i++) yield Buffer.alloc(50_000);
}

describe('a call over HTTP/2 that is given up while most of its body is still here', () => {
  it('ends, and nothing else does, however soon that is', async () => {
    const http2 = createHttp2().on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.on('error', () => {});
      // Of the others not a byte is read.
      if (headers[':path'] === '/') {
        stream.respond({ ':status': 200 });
        stream.end('ok');
      }
    });
    server = await serve(http2 as never);
    const well = async (): Promise<number> => (await transport.handler(call(server as TestServer))).status;
    expect(await well()).toBe(200);
    for (const make of [() => 'x', () => Buffer.alloc(200_000), () => ({ once: pieces() })]) {
      for (const turns of [0, 1, 2, 3, 5, 10, 50]) {
        const scope = new Scope(systemClock);
        const upload = call(server, { method: 'PUT', path: '/deaf', body: make(), scope });
        const failed = rejection(transport.handler(upload));
        for (let n = 0; n < turns; n++) await nextTurn();
        scope.cancel();
        expect((await failed).code).toBe('ERR_CANCELED');
        expect(await well()).toBe(200);
      }
    }
    expect(server.accepted).toBe(1);
  });
});
