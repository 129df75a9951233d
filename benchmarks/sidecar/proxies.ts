/**
 * @module The proxies that a sidecar would be: started on loopback with a configuration of their own, with what everybody
 * switches on, and without what costs most (TLS, access logs). One worker each, as a sidecar has.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '@fairlead/core';
import { pin } from '../apart.ts';

/** A proxy that runs. */
export interface Proxy {
  readonly name: string;
  readonly version: string;
  readonly origin: string;
  readonly pid: number;
  stop(): Promise<void>;
}

interface Kind {
  readonly name: string;
  readonly versionFlag: string;
  readonly args: (file: string, folder: string) => readonly string[];
  readonly config: (port: number, backends: readonly string[], folder: string) => string;
}

const kinds: readonly Kind[] = [
  {
    name: 'haproxy',
    versionFlag: '-v',
    args: (file) => ['-db', '-f', file],
    config: (port, backends) => `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option http-keep-alive
  http-reuse always
  retries 2
  option redispatch
  timeout connect 3s
  timeout client 30s
  timeout server 10s
  timeout queue 10s
frontend in
  bind 127.0.0.1:${port}
  default_backend payments
backend payments
  balance random(2)
${backends.map((host, i) => `  server s${i} ${host} maxconn 128`).join('\n')}
`,
  },
  {
    name: 'nginx',
    versionFlag: '-v',
    args: (file, folder) => ['-e', 'stderr', '-p', folder, '-c', file],
    // One process for everything: a master that only waits for its worker would do nothing.
    config: (port, backends, folder) => `
daemon off;
master_process off;
worker_processes 1;
pid ${folder}/pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  upstream payments {
    random two least_conn;
${backends.map((host) => `    server ${host} max_fails=5 fail_timeout=5s;`).join('\n')}
    keepalive 128;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://payments;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 3s;
      proxy_read_timeout 10s;
      proxy_next_upstream error timeout http_502 http_503 http_504;
      proxy_next_upstream_tries 3;
    }
  }
}
`,
  },
];

/** Starts those that are installed, on `core`, and says which are not. */
export async function startProxies(origins: readonly string[], core: number): Promise<Proxy[]> {
  const started: Proxy[] = [];
  for (const kind of kinds) {
    const { status, stdout, stderr, error } = spawnSync(kind.name, [kind.versionFlag], { encoding: 'utf8' });
    if (error !== undefined || status !== 0) {
      console.log(`skipped  ${kind.name}: it is not installed. On Debian: apt-get install ${kind.name}`);
      continue;
    }
    const version = /\d+\.\d+\.\d+/.exec(stdout + stderr)?.[0] ?? '';
    started.push(await start(kind, version, origins, core));
  }
  return started;
}

async function start(kind: Kind, version: string, origins: readonly string[], core: number): Promise<Proxy> {
  const { name } = kind;
  const folder = mkdtempSync(join(tmpdir(), `fairlead-${name}-`));
  const port = await freePort();
  const backends = origins.map((origin) => new URL(origin).host);
  const file = join(folder, 'config');
  writeFileSync(file, kind.config(port, backends, folder));
  const child = spawn(name, kind.args(file, folder), { stdio: ['ignore', 'ignore', 'inherit'] });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  // Whatever ends the benchmark ends its proxies.
  process.once('exit', () => child.kill('SIGKILL'));
  try {
    await listening(child, name, port);
  } catch (error) {
    await stop();
    throw error;
  }
  pin(child.pid as number, core);
  return { name, version, origin: `http://127.0.0.1:${port}`, pid: child.pid as number, stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Neither says when it is ready, so they are asked. */
async function listening(child: ChildProcess, name: string, port: number): Promise<void> {
  for (let tries = 0; tries < 250; tries++) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
    if (await accepts(port)) return;
    await sleep(systemClock, 20);
  }
  throw new Error(`${name} does not listen after 5 s`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
