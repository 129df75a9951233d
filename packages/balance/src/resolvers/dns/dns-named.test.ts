// Catches: a difference between c-ares and what dns() expects of it, against a real DNS server (bind9): record types, TTLs,
// "nobody", a server that is down, and search domains, which must not be applied.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Endpoint, type ResolverUpdate, Scope, sleep, systemClock } from '@fairlead/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DnsOptions, dns } from './dns.js';
import { askDns } from './dns-ask.js';

const NAMED = '/usr/sbin/named';
const runnable = existsSync(NAMED);
// Skipped aloud: a missing server must not look like a passed test.
if (!runnable) console.warn(`dns-named.test.ts: skipped, there is no ${NAMED}; install it with: apt-get install bind9`);

const zone = `$ORIGIN mesh.test.
$TTL 300
@            IN SOA ns hostmaster ( 1 3600 600 86400 1 )
@            IN NS  ns
ns           IN A   127.0.0.1
payments  7  IN A   10.0.0.1
payments  7  IN A   10.0.0.2
payments  7  IN AAAA fd00::1
six       9  IN AAAA fd00::6
text         IN TXT "no address"
alias     3  IN CNAME payments
_http._tcp.payments IN SRV 10 60 8081 a.payments
_http._tcp.payments IN SRV 20 0  8082 b.payments
_http._tcp.closed   IN SRV 0 0 0 .
a.payments 4 IN A   10.0.0.1
b.payments 4 IN A   10.0.0.2
`;

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

describe.skipIf(!runnable)('dns against bind9', () => {
  let folder: string;
  let server: ChildProcess;
  let port: number;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fairlead-named-'));
    port = await freePort();
    writeFileSync(join(folder, 'mesh.zone'), zone);
    const config = `options {
      directory "${folder}"; pid-file none; session-keyfile "${join(folder, 'session.key')}";
      listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; dnssec-validation no;
    };
    controls { };
    zone "mesh.test" { type primary; file "mesh.zone"; };`;
    writeFileSync(join(folder, 'named.conf'), config);
    execFileSync('/usr/bin/named-checkconf', ['-z', join(folder, 'named.conf')]);
    server = spawn(NAMED, ['-g', '-n', '1', '-c', join(folder, 'named.conf')], { stdio: 'ignore' });
    const ask = askDns([`127.0.0.1:${port}`]);
    // The server says nothing when it is ready, so it is asked until it answers.
    for (let i = 0; i < 200; i++) {
      if (await ask.a('payments.mesh.test').then(Boolean, () => false)) return;
      await sleep(systemClock, 25);
    }
    throw new Error('bind9 does not answer');
  }, 20_000);

  afterAll(async () => {
    if (server !== undefined && server.exitCode === null) {
      server.kill('SIGKILL');
      await once(server, 'exit');
    }
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  async function find(options: Partial<DnsOptions> & { readonly host: string }): Promise<ResolverUpdate> {
    const scope = new Scope(systemClock);
    try {
      return await new Promise((resolve) => {
        dns({ servers: [`127.0.0.1:${port}`], port: 80, ...options }).watch(resolve, scope, { clock: systemClock });
      });
    } finally {
      scope.cancel();
    }
  }

  async function origins(options: Partial<DnsOptions> & { readonly host: string }): Promise<readonly string[]> {
    const update = (await find(options)) as { endpoints: readonly Endpoint[] };
    return update.endpoints.map((endpoint) => endpoint.origin).sort();
  }

  it('finds addresses of either family, with a dot at the end or without, through an alias', async () => {
    const both = ['http://10.0.0.1', 'http://10.0.0.2'];
    expect(await origins({ host: 'payments.mesh.test' })).toEqual(both);
    expect(await origins({ host: 'payments.mesh.test.' })).toEqual(both);
    expect(await origins({ host: 'alias.mesh.test' })).toEqual(both);
    expect(await origins({ host: 'payments.mesh.test', family: 6 })).toEqual(['http://[fd00::1]']);
    expect(await origins({ host: 'six.mesh.test' })).toEqual(['http://[fd00::6]']);
  });

  it('is told how long an answer holds', async () => {
    const ask = askDns([`127.0.0.1:${port}`]);
    expect((await ask.a('payments.mesh.test')).map(({ ttl }) => ttl)).toEqual([7, 7]);
    expect((await ask.aaaa('six.mesh.test')).map(({ ttl }) => ttl)).toEqual([9]);
  });

  it('reads SRV records', async () => {
    const update = (await find({ host: '_http._tcp.payments.mesh.test', type: 'srv' })) as { endpoints: Endpoint[] };
    const found = update.endpoints.map(({ origin, priority, weight }) => [origin, priority, weight]);
    expect(found.sort()).toEqual([
      ['http://10.0.0.1:8081', 10, 60],
      ['http://10.0.0.2:8082', 20, 1],
    ]);
  });

  it('takes no such name, no such record and a closed service for nobody', async () => {
    expect(await find({ host: 'nobody.mesh.test' })).toEqual({ endpoints: [] });
    expect(await find({ host: 'text.mesh.test' })).toEqual({ endpoints: [] });
    expect(await find({ host: '_http._tcp.closed.mesh.test', type: 'srv' })).toEqual({ endpoints: [] });
  });

  it('takes a refusal and a server that is not there for errors', async () => {
    expect(await find({ host: 'other.example' })).toMatchObject({ error: { code: 'EREFUSED' } });
    expect(await find({ host: 'payments.mesh.test', servers: ['127.0.0.1:1'] })).toMatchObject({
      error: { code: 'ECONNREFUSED' },
    });
  });

  it('applies no search domain', async () => {
    // c-ares reads this instead of the search line of resolv.conf.
    const script = `import { Resolver } from 'node:dns/promises';
      const resolver = new Resolver();
      resolver.setServers(['127.0.0.1:${port}']);
      console.log(await resolver.resolve4('payments').catch((error) => error.code));`;
    const env = { ...process.env, LOCALDOMAIN: 'mesh.test' };
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { env, encoding: 'utf8' });
    expect(said.trim()).toBe('EREFUSED');
  });
});
