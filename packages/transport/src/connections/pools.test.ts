/** Catches connections that are still being made when everything else is over: close() waiting for them, or leaving them. */
import { Scope, systemClock } from '@fairlead/core';
import { countResources } from '@fairlead/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, rawServer, rejection, type TestServer, until } from '../../test/servers.js';
import { createTransport, type Transport } from '../transport.js';

// Accepts, and never says a word of TLS: a connection that is never made.
let server: TestServer;
let transport: Transport;
const resources = countResources();
const tls = (to: TestServer): TestServer['endpoint'] => ({
  ...to.endpoint,
  origin: to.origin.replace('http:', 'https:'),
});

beforeEach(async () => {
  server = await rawServer(() => {});
  transport = createTransport({ connections: 2, connectTimeoutMs: 60_000, closeMs: 60_000 });
});
afterEach(async () => {
  await transport.close(0);
  await server.quiet();
  await server.close();
  await resources.check();
});

describe('a connection that is being made', () => {
  it('is not waited for by close() when nobody waits for it any more, those queued behind it neither', async () => {
    const scopes = Array.from({ length: 5 }, () => new Scope(systemClock));
    const calls = scopes.map((scope) => rejection(transport.handler(call(tls(server), { scope }))));
    await until(() => server.sockets.size === 2);
    for (const scope of scopes) scope.cancel();
    await Promise.all(calls);
    await transport.close();
    await server.quiet();
    expect(server.accepted).toBe(2);
  });

  it('is given up when the last call that waits for it ends after close()', async () => {
    const scope = new Scope(systemClock);
    const waiting = rejection(transport.handler(call(tls(server), { scope })));
    await until(() => server.sockets.size === 1);
    const closing = transport.close();
    scope.cancel();
    await waiting;
    await closing;
    await server.quiet();
  });

  it('is not left behind when the grace is over', async () => {
    const waiting = rejection(transport.handler(call(tls(server))));
    await until(() => server.sockets.size === 1);
    await transport.close(0);
    expect(await waiting).toMatchObject({ code: 'ERR_TRANSPORT', phase: 'closed', sent: 'no' });
    await server.quiet();
  });
});
