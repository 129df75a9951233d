/** @module Where the application finds its endpoints: each a process, or a file, that can be taken away and given back. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { certificate } from '../../packages/fairlead/test/certificate.ts';
import type { Replica } from './processes.ts';

/** A source of endpoints. */
export interface Source {
  /** What the application is told about it. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Tells who is there, once the source can tell it; those who leave serve on until they are gone. */
  publish(present: readonly Replica[], leaving?: readonly Replica[]): Promise<void>;
  /** Takes it away. */
  stop(): Promise<void>;
  /** Gives it back, and with it what was published meanwhile. */
  start(): Promise<void>;
  end(): void;
}

/** A folder that goes with this process. */
function folderFor(what: string): string {
  const folder = mkdtempSync(join(tmpdir(), `fairlead-outage-${what}-`));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const apiServer = fileURLToPath(new URL('../../packages/kubernetes/test/api-process.ts', import.meta.url));

/** EndpointSlices, one for each replica since each has a port of its own. */
export class KubernetesSource implements Source {
  readonly args = [];
  env: Record<string, string> = {};
  readonly #frozen: boolean;
  readonly #process = fork(apiServer, ['h2', certificate.cert, certificate.key], { execArgv: [] });
  readonly #answers: Map<number, (origin: string) => void> = new Map();
  #sent = 0;
  #slices: string[] = [];

  private constructor(frozen: boolean) {
    this.#frozen = frozen;
    this.#process.on('message', ({ id, origin }: { id: number; origin: string }) => {
      this.#answers.get(id)?.(origin);
      this.#answers.delete(id);
    });
  }

  /** @param frozen whether it keeps its connections and says nothing, rather than being gone */
  static async begin(frozen = false): Promise<KubernetesSource> {
    const source = new KubernetesSource(frozen);
    const server = await source.#tell('start');
    const path = join(folderFor('kubernetes'), 'kubeconfig');
    const data = Buffer.from(certificate.cert).toString('base64');
    const config = {
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'here' },
      clusters: [{ name: 'here', cluster: { server, 'certificate-authority-data': data } }],
      users: [{ name: 'here', user: { token: 'some-token' } }],
      contexts: [{ name: 'here', context: { cluster: 'here', user: 'here', namespace: 'prod' } }],
    };
    writeFileSync(path, JSON.stringify(config));
    source.env = { KUBECONFIG: path, FAIRLEAD_SERVICE_SVC: 'kubernetes://svc.prod:http?spreadMs=2000' };
    return source;
  }

  async publish(present: readonly Replica[], leaving: readonly Replica[] = []): Promise<void> {
    const before = this.#slices;
    this.#slices = present.map(({ port }) => `svc-${port}`);
    for (const { port } of present) {
      const terminating = leaving.some((each) => each.port === port);
      const conditions = { ready: !terminating, serving: true, terminating };
      const endpoints = [{ addresses: ['127.0.0.1'], conditions }];
      const ports = [{ name: 'http', port, protocol: 'TCP' }];
      await this.#tell('put', { service: 'svc', name: `svc-${port}`, endpoints, ports });
    }
    for (const name of before) if (!this.#slices.includes(name)) await this.#tell('delete', name);
  }

  async stop(): Promise<void> {
    if (this.#frozen) this.#process.kill('SIGSTOP');
    else await this.#tell('stop');
  }

  async start(): Promise<void> {
    if (this.#frozen) {
      this.#process.kill('SIGCONT');
    } else {
      // It was away for so long that it knows nothing of the versions that the application has seen.
      await this.#tell('compact');
      await this.#tell('start');
    }
  }

  end(): void {
    this.#process.disconnect();
  }

  #tell(method: string, ...args: readonly unknown[]): Promise<string> {
    const id = ++this.#sent;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#process.send({ id, method, args });
    });
  }
}

/** SRV records of bind9, which hold for two seconds. */
export class DnsSource implements Source {
  readonly env = {};
  readonly args: readonly string[];
  readonly #frozen: boolean;
  readonly #folder = folderFor('dns');
  readonly #config = join(this.#folder, 'named.conf');
  #server: ChildProcess | null = null;
  #serial = 0;

  private constructor(frozen: boolean, port: number) {
    this.#frozen = frozen;
    this.args = ['_http._tcp.svc.mesh.test', `127.0.0.1:${port}`];
    writeFileSync(
      this.#config,
      `options {
        directory "${this.#folder}"; pid-file none; session-keyfile "${join(this.#folder, 'session.key')}";
        listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; dnssec-validation no;
      };
      controls { };
      zone "mesh.test" { type primary; file "mesh.zone"; };`,
    );
  }

  /** @param frozen whether questions get no answer, rather than being refused */
  static async begin(frozen = false): Promise<DnsSource> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    socket.close();
    return new DnsSource(frozen, port);
  }

  async publish(present: readonly Replica[], leaving: readonly Replica[] = []): Promise<void> {
    const staying = present.filter((each) => !leaving.includes(each));
    const records = staying.map(({ port }) => `_http._tcp.svc 2 IN SRV 0 1 ${port} here`).join('\n');
    writeFileSync(
      join(this.#folder, 'mesh.zone'),
      `$ORIGIN mesh.test.\n$TTL 2\n@ IN SOA ns hostmaster ( ${++this.#serial} 3600 600 86400 1 )\n@ IN NS ns\n` +
        `ns IN A 127.0.0.1\nhere IN A 127.0.0.1\n${records}\n`,
    );
    if (this.#server === null) await this.start();
    else this.#server.kill('SIGHUP');
  }

  async stop(): Promise<void> {
    const server = this.#server as ChildProcess;
    if (this.#frozen) {
      server.kill('SIGSTOP');
    } else {
      const gone = once(server, 'exit');
      server.kill('SIGKILL');
      await gone;
      this.#server = null;
    }
  }

  async start(): Promise<void> {
    if (this.#server !== null) {
      this.#server.kill('SIGCONT');
      return;
    }
    const stdio = ['ignore', 'ignore', 'pipe'] as const;
    const server = spawn('/usr/sbin/named', ['-g', '-n', '1', '-c', this.#config], { stdio: [...stdio] });
    this.#server = server;
    // Also if a scenario fails: it would outlive this process.
    process.once('exit', () => server.kill('SIGKILL'));
    // Before it says this, the signal for a new zone would end it.
    for await (const line of createInterface(server.stderr as Readable)) if (line.endsWith(' running')) return;
    throw new Error('bind9 did not start');
  }

  end(): void {
    this.#server?.kill('SIGKILL');
  }
}

/** A file that is watched, replaced as ConfigMaps are, and while it is away by garbage. */
export class FileSource implements Source {
  readonly args = [];
  readonly #path = join(folderFor('file'), 'svc.json');
  readonly env = { FAIRLEAD_SERVICE_SVC: `file://${this.#path}` };
  #content = '';

  async publish(present: readonly Replica[], leaving: readonly Replica[] = []): Promise<void> {
    const staying = present.filter((each) => !leaving.includes(each));
    this.#content = JSON.stringify([{ targets: staying.map(({ port }) => `127.0.0.1:${port}`) }]);
    await this.start();
  }

  async stop(): Promise<void> {
    this.#replace('\u0000\u0001 garbage');
  }

  async start(): Promise<void> {
    this.#replace(this.#content);
  }

  end(): void {}

  #replace(content: string): void {
    writeFileSync(`${this.#path}.new`, content);
    renameSync(`${this.#path}.new`, this.#path);
  }
}
