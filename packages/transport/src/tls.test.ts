/**
 * Catches: the wrong name asked for or checked, handshakes that could have been resumed, connections dropped because a
 * caller sends another `host`, errors that do not say what is wrong with whose certificate, and a server that turns us
 * away being asked again and again.
 */
import { createServer } from 'node:https';
import { createServer as createNetServer } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createEndpoint, readText, systemClock } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { authority, client, server as identity } from '../test/certificates.js';
import { opened } from '../test/opened.js';
import { call, nextTurn, rejection, serve, type TestServer } from '../test/servers.js';
import type { Transport, TransportOptions } from './transport.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const { servers, make: open } = opened();

const tls = { ca: authority };
const make = (options: Partial<TransportOptions> = { tls }): Transport => open(options);

/** Answers with what it saw of the handshake. */
async function https(options: object = {}): Promise<TestServer> {
  const server = createServer({ ...identity, ...options }, (request, response) => {
    const socket = request.socket as TLSSocket;
    const { servername } = socket as { servername?: string | false };
    if (request.url === '/close') response.setHeader('connection', 'close');
    response.end(JSON.stringify([servername, request.headers.host, socket.isSessionReused()]));
  });
  const made = await serve(server, 'https');
  servers.push(made);
  return made;
}

const found = (server: TestServer, serverName: string) => createEndpoint(server.origin, { attributes: { serverName } });

describe('the name', () => {
  it('an endpoint was found by is asked for, checked, and sent as host', async () => {
    const server = await https();
    const transport = make();
    const reply = await transport.handler(call(found(server, 'payments.test')));
    expect(JSON.parse(await readText(reply))).toEqual(['payments.test', `payments.test:${server.port}`, false]);
    const error = await rejection(transport.handler(call(found(server, 'other.test'))));
    expect([error.code, error.phase, error.sent]).toEqual(['ERR_TRANSPORT', 'connect', 'no']);
    expect(error.message).toMatch(
      /Host: other\.test\. is not in the cert's altnames.*\(ERR_TLS_CERT_ALTNAME_INVALID\)/,
    );
  });

  it('keeps the connections to one address apart', async () => {
    const server = await https();
    const transport = make();
    for (const name of ['payments.test', 'ledger.test', 'payments.test', 'ledger.test']) {
      const [sni] = JSON.parse(await readText(await transport.handler(call(found(server, name)))));
      expect(sni).toBe(name);
    }
    expect(server.accepted).toBe(2);
    transport.release(found(server, 'payments.test'));
    expect(transport.stats().origins.length).toBe(1);
  });

  it('is not changed by the host header of a call, and neither is the connection', async () => {
    const server = await https();
    const transport = make({ tls, connections: 1 });
    for (const host of ['a.test', 'b.test', 'a.test']) {
      const reply = await transport.handler(call(found(server, 'payments.test'), { headers: ['host', host] }));
      expect(JSON.parse(await readText(reply))).toEqual(['payments.test', host, false]);
    }
    expect(server.accepted).toBe(1);
  });

  it('is none for an endpoint that is known by address only', async () => {
    const server = await https();
    const transport = make({ tls: { rejectUnauthorized: false } });
    const reply = await transport.handler(call(server));
    expect(JSON.parse(await readText(reply)).slice(0, 2)).toEqual([false, `127.0.0.1:${server.port}`]);
  });

  it('can be set, for endpoints that are known by address only', async () => {
    const server = await https();
    const error = await rejection(make().handler(call(server)));
    expect(error.message).toMatch(/IP: 127\.0\.0\.1 is not in the cert's list/);
    const transport = make({ tls: { ...tls, servername: 'payments.test' }, host: 'service' });
    const reply = await transport.handler(call(server));
    expect(JSON.parse(await readText(reply))).toEqual(['payments.test', 'payments', false]);
  });
});

describe('a session', () => {
  it('is resumed by the next connection, also after a collection of garbage', async () => {
    const server = await https();
    const transport = make();
    const endpoint = found(server, 'payments.test');
    const resumed: boolean[] = [];
    for (let n = 0; n < 4; n++) {
      const reply = await transport.handler(call(endpoint, { path: '/close' }));
      resumed.push(JSON.parse(await readText(reply))[2]);
      await server.quiet();
      // Weak references are only let go of between turns.
      await nextTurn();
      collectGarbage();
    }
    expect(resumed).toEqual([false, true, true, true]);
  });
});

describe('a certificate that is no good', () => {
  it('is named, with what is wrong with it', async () => {
    const server = await https();
    const error = await rejection(make({}).handler(call(found(server, 'payments.test'))));
    expect([error.code, error.phase, error.sent]).toEqual(['ERR_TRANSPORT', 'connect', 'no']);
    expect(error.message).toMatch(/unable to verify the first certificate.*\(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)/);
    expect(server.accepted).toBe(1);
  });

  it.each(['TLSv1.2', 'TLSv1.3'])('of ours, with %s: an error that is not tried again', async (version) => {
    const both = {
      requestCert: true,
      rejectUnauthorized: true,
      ca: authority,
      minVersion: version,
      maxVersion: version,
    };
    const server = await https(both);
    const error = await rejection(make().handler(call(found(server, 'payments.test'))));
    expect([error.code, error.sent, error.service]).toEqual(['ERR_TLS_REJECTED', 'maybe', 'payments']);
    expect(error.message).toMatch(version === 'TLSv1.2' ? /handshake failure/ : /miss or reject a client certificate/);
    expect(server.accepted).toBe(1);
    const known = make({ tls: { ...tls, ...client } });
    const reply = await known.handler(call(found(server, 'payments.test')));
    expect(reply.status).toBe(200);
    await readText(reply);
  });
});

describe('a peer that goes away', () => {
  it('after the handshake turned us away only if it has never answered', async () => {
    let seen = 0;
    const server = await serve(
      createTlsServer(identity, (socket) => {
        socket.on('error', () => {});
        socket.on('data', () => {
          if (++seen === 2) socket.destroy();
          else socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
        });
      }),
      'https',
    );
    servers.push(server);
    const transport = make();
    const endpoint = found(server, 'payments.test');
    await readText(await transport.handler(call(endpoint)));
    await server.quiet();
    const error = await rejection(transport.handler(call(endpoint)));
    expect([error.code, error.phase, error.sent, error.staleSocket]).toEqual(['ERR_TRANSPORT', 'wait', 'maybe', false]);
    expect(seen).toBe(2);
  });

  it('during the handshake: nothing was sent', async () => {
    const server = await serve(createTlsServer({}), 'https');
    servers.push(server);
    const error = await rejection(make().handler(call(found(server, 'payments.test'))));
    expect([error.code, error.service]).toEqual(['ERR_TLS_REJECTED', 'payments']);
    expect(error.message).toMatch(/refused the TLS handshake/);
  });
});

describe('a handshake that hangs', () => {
  it('ends with the time to connect, and with the call', async () => {
    const silent = createNetServer((socket) => void socket.on('error', () => {}).resume());
    const server = await serve(silent, 'https');
    servers.push(server);
    const transport = make({ tls, connectTimeoutMs: 30 });
    const before = systemClock.now();
    const error = await rejection(transport.handler(call(found(server, 'payments.test'))));
    expect([error.phase, error.sent, error.cause.code]).toEqual(['connect', 'no', 'UND_ERR_CONNECT_TIMEOUT']);
    expect(systemClock.now() - before).toBeLessThan(500);
  });
});
