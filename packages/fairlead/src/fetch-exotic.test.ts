/**
 * Catches `integrity` that is not verified, or verified without the policies of the service, and a fetch that calls itself
 * once it stands in the place of the built-in one.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Client, createClient } from './client.js';

const open: { servers: Server[]; clients: Client[] } = { servers: [], clients: [] };

afterEach(async () => {
  await Promise.all(open.clients.splice(0).map((client) => client.close()));
  for (const server of open.servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A client whose `payments` fails each first try. */
async function flaky(): Promise<{ client: Client; tries: () => number }> {
  let tries = 0;
  const server = createServer((_, response) => {
    response.statusCode = ++tries % 2 === 1 ? 503 : 200;
    response.end('body');
  }).listen(0, '127.0.0.1');
  open.servers.push(server);
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createClient({ environment: false, services: { payments: { from: [origin], attempts: 3 } } });
  open.clients.push(client);
  return { client, tries: () => tries };
}

const digest = (text: string): string => `sha256-${createHash('sha256').update(text).digest('base64')}`;
const failure = async (promise: Promise<Response>): Promise<unknown> =>
  promise.then(
    (response) => response.text(),
    (error: unknown) => error,
  );

describe('integrity', () => {
  it('is verified, and the service keeps its policies', async () => {
    const { client, tries } = await flaky();
    const response = await client.fetch('http://payments/', { integrity: digest('body') });
    expect([await response.text(), response.url, tries()]).toEqual(['body', 'http://payments/', 2]);
    // Verified where Node was built for it.
    const theirs = await failure(fetch('data:,body', { integrity: digest('other') }));
    const ours = await failure(client.fetch('http://payments/', { integrity: digest('other') }));
    expect(ours instanceof TypeError).toBe(theirs instanceof TypeError);
    expect(tries()).toBe(4);
  });

  it('is verified where the client stands in the place of the built-in fetch', async () => {
    const { client, tries } = await flaky();
    const restore = client.installGlobal();
    try {
      expect(await (await fetch('http://payments/', { integrity: digest('body') })).text()).toBe('body');
      expect(tries()).toBe(2);
    } finally {
      restore();
    }
  });

  it('goes nowhere once the client is closed', async () => {
    const { client, tries } = await flaky();
    await client.close();
    expect(await failure(client.fetch('http://payments/', { integrity: digest('body') }))).toBeInstanceOf(TypeError);
    expect(tries()).toBe(0);
  });
});
