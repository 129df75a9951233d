/** Would catch an identity that a client has made up itself, and one that is somebody else's. */
import { once } from 'node:events';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { ConfigError } from '@fairlead/core';
import { afterEach, describe, expect, it } from 'vitest';
import { authority, named, server as serverPair, stranger, workload } from '../../tests/certificates.js';
import { peerIdentity } from '../index.js';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function serve(key = peerIdentity()): Promise<(client: object) => Promise<string>> {
  const tls = { ...serverPair, ca: authority, requestCert: true, rejectUnauthorized: false };
  const server = createServer(tls, (req, res) => {
    res.end(key({ headers: [] } as never, req));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return async (client) => {
    const { port } = server.address() as AddressInfo;
    const outgoing = request({ host: '127.0.0.1', port, ca: authority, agent: false, ...client }).end();
    const [response] = await once(outgoing, 'response');
    let body = '';
    for await (const chunk of response) body += chunk;
    return body;
  };
}

describe('peerIdentity', () => {
  it('is the SPIFFE ID of a certificate that was verified, or else its subject', async () => {
    const ask = await serve();
    expect(await ask(workload)).toBe('tls:spiffe://shop.test/ns/prod/sa/cart');
    expect(await ask(named)).toBe('tls:CN=batch job');
  });

  it('is not what a client says of itself', async () => {
    const ask = await serve(peerIdentity({ otherwise: () => 'somebody' }));
    expect(await ask(stranger)).toBe('somebody');
    expect(await ask({})).toBe('somebody');
    expect(await (await serve())(stranger)).toBe('127.0.0.1');
  });

  it('is nothing that a name with commas can be made to look like', () => {
    const key = peerIdentity({ otherwise: () => 'somebody' });
    const shown = (subjectAltName: string | undefined, subject: string): string => {
      const socket = { authorized: true, getPeerX509Certificate: () => ({ subjectAltName, subject }) };
      return key({ headers: [] } as never, { socket } as never);
    };
    expect(shown('DNS:"a, URI:spiffe://shop.test/admin"', 'CN=evil')).toBe('tls:CN=evil');
    expect(shown('DNS:aURI:spiffe://shop.test/admin', 'CN=evil')).toBe('tls:CN=evil');
    expect(shown('DNS:a, URI:spiffe://shop.test/a, IP Address:10.0.0.1', 'CN=a')).toBe('tls:spiffe://shop.test/a');
    expect(shown(undefined, '')).toBe('somebody');
  });

  it('looks once per connection', () => {
    let looks = 0;
    const socket = {
      authorized: true,
      getPeerX509Certificate: () => {
        looks++;
        return { subject: 'CN=a' };
      },
    };
    const key = peerIdentity();
    for (let i = 0; i < 3; i++) expect(key({ headers: [] } as never, { socket } as never)).toBe('tls:CN=a');
    expect(looks).toBe(1);
  });

  it('checks its options', () => {
    expect(() => peerIdentity({ otherwise: 'x' } as never)).toThrow(ConfigError);
  });
});
