/**
 * @module A caller and its servers in network namespaces of their own, joined by cables (veth) that can be pulled: what is
 * sent then vanishes, and neither side hears of the other again, not by a FIN and not by a RST. Nothing of it is seen
 * outside, and all of it goes with the processes.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { packages } from '../../../../scripts/packages.mjs';
import type { Ended, Service, Wishes } from './caller.js';

const execute = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const needed =
  'ip link add near0 type veth peer name far0 && ip rule add sport 1 dport 1 blackhole && command -v nsenter';

/** Why there can be no such network here; null if there can. */
export function missing(): string | null {
  const { status, stderr, error } = spawnSync('unshare', ['--net', 'sh', '-c', needed], { encoding: 'utf8' });
  if (status === 0) return null;
  return error?.message ?? (stderr.trim() || 'nsenter is missing');
}

/** What a client of the caller was told to do, done. */
export interface FarClient {
  get(path: string, init?: Parameters<Wishes['get']>[2]): Promise<Ended>;
  seen(): Promise<ReturnType<Wishes['seen']>>;
  /** How long it took, in ms. */
  close(): Promise<number>;
}

interface Message {
  readonly ready?: true;
  readonly arrived?: string;
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: string;
  readonly connections?: readonly { localAddress: string; localPort: number; remotePort: number }[];
}

/** A caller, the far end, and the cables between them. */
export class Network {
  readonly #near: ChildProcess;
  readonly #far: ChildProcess;
  readonly #answers: Map<number, (message: Message) => void> = new Map();
  readonly #arrived: Set<string> = new Set();
  readonly #opened: FarClient[] = [];
  #wished = 0;

  private constructor(near: ChildProcess, far: ChildProcess) {
    this.#near = near;
    this.#far = far;
    near.on('message', (message: Message) => this.#answers.get(message.id as number)?.(message));
    far.on('message', ({ arrived }: Message) => {
      if (arrived !== undefined) this.#arrived.add(arrived);
    });
  }

  /** Makes one with so many cables. The endpoint at the end of each is {@link origin}. */
  static async make(cables: number): Promise<Network> {
    const bundle = bundled();
    const far = spawn('unshare', ['--net', process.execPath, here('far.mjs')], withIpc('ignore'));
    const near = spawn('unshare', ['--net', process.execPath, '--input-type=module', '-'], withIpc('pipe'));
    near.stdin?.end(await bundle);
    await Promise.all([once(near, 'message'), once(far, 'message')]);
    const network = new Network(near, far);
    const numbers = Array.from({ length: cables }, (_, n) => n);
    await network.#ip(
      near,
      numbers.flatMap((n) => [
        `link add near${n} type veth peer name far${n} address ${mac(n)} netns ${far.pid}`,
        `addr add 10.77.${n}.1/24 dev near${n}`,
        `link set near${n} up`,
        // As beyond a router: nobody notices that the neighbour does not answer.
        `neigh add 10.77.${n}.2 lladdr ${mac(n)} dev near${n} nud permanent`,
      ]),
    );
    await network.#ip(
      far,
      numbers.flatMap((n) => [`addr add 10.77.${n}.2/24 dev far${n}`, `link set far${n} up`]),
    );
    await network.#up(cables - 1);
    return network;
  }

  /** The endpoint at the end of a cable. */
  origin(cable: number, http2 = false): string {
    return `http://10.77.${cable}.2:${http2 ? 81 : 80}`;
  }

  /** Makes a client of service `svc`. */
  async client(service: Service): Promise<FarClient> {
    const n = await this.#wish('open', service);
    const client: FarClient = {
      get: (path, init = {}) => this.#wish('get', n, path, init),
      seen: () => this.#wish('seen', n),
      close: () => this.#wish('close', n),
    };
    this.#opened.push(client);
    return client;
  }

  /** Pulls a cable. */
  async cut(cable: number): Promise<void> {
    await this.#ip(this.#far, [`link set far${cable} down`]);
  }

  /** Plugs it in again. */
  async mend(cable: number): Promise<void> {
    await this.#ip(this.#far, [`link set far${cable} up`]);
    await this.#up(cable);
  }

  /** The connections that are open over a cable are not answered any more, others are: a table of flows was lost on the way. */
  async forget(cable: number): Promise<void> {
    const flows = await this.#connections();
    await this.#ip(
      this.#far,
      flows
        .filter(({ localAddress }) => localAddress === `10.77.${cable}.2`)
        .map(({ localPort, remotePort }) => `rule add ipproto tcp sport ${localPort} dport ${remotePort} blackhole`),
    );
  }

  /** Waits until a request with this path has arrived that nobody has waited for yet. */
  async arrived(path: string): Promise<void> {
    while (!this.#arrived.has(path)) await once(this.#far, 'message');
    this.#arrived.delete(path);
  }

  /** Answers what is held. */
  answer(): void {
    this.#far.send('answer');
  }

  /** After a test: closes the clients, waits until nothing of them is left, and gives how long closing took at most, in ms. */
  async clear(): Promise<number> {
    const ms = await Promise.all(this.#opened.splice(0).map((client) => client.close()));
    await this.#wish('settled');
    return Math.max(0, ...ms);
  }

  async end(): Promise<void> {
    const gone = [once(this.#near, 'exit'), once(this.#far, 'exit')];
    this.#near.disconnect();
    this.#far.disconnect();
    await Promise.all(gone);
  }

  async #connections(): Promise<NonNullable<Message['connections']>> {
    this.#far.send('connections');
    for (;;) {
      const [{ connections }] = (await once(this.#far, 'message')) as [Message];
      if (connections !== undefined) return connections;
    }
  }

  /** The kernel takes its time to notice that there is somebody at the other end. */
  async #up(cable: number): Promise<void> {
    for (const [process, side] of [
      [this.#near, 'near'],
      [this.#far, 'far'],
    ] as const) {
      while (!(await this.#ip(process, [`link show ${side}${cable}`])).includes('state UP'));
    }
  }

  #wish<K extends keyof Wishes>(wish: K, ...args: Parameters<Wishes[K]>): Promise<Awaited<ReturnType<Wishes[K]>>> {
    const id = ++this.#wished;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, ({ value, error }) => {
        this.#answers.delete(id);
        if (error === undefined) resolve(value as Awaited<ReturnType<Wishes[K]>>);
        else reject(new Error(error));
      });
      this.#near.send({ id, wish, args });
    });
  }

  /** Runs commands of `ip` where a process lives, and gives what they print. */
  async #ip({ pid }: ChildProcess, commands: readonly string[]): Promise<string> {
    const running = execute('nsenter', ['-t', String(pid), '-n', 'ip', '-batch', '-']);
    running.child.stdin?.end(`${commands.join('\n')}\n`);
    return (await running).stdout;
  }
}

const mac = (cable: number): string => `02:00:00:00:00:${String(cable).padStart(2, '0')}`;

function withIpc(stdin: 'ignore' | 'pipe'): object {
  // No options of ours: those of the test runner are not meant for them.
  return { stdio: [stdin, 'inherit', 'inherit', 'ipc'], cwd: here('../..'), env: { PATH: process.env.PATH } };
}

/** The caller, with the sources of all packages as they are now. */
async function bundled(): Promise<string> {
  const alias = Object.fromEntries(
    packages().flatMap(({ dir, entries }) =>
      entries
        .filter(({ specifier }) => /^@?fairlead/.test(specifier))
        .map((each) => [each.specifier, `${dir}/${each.source}`]),
    ),
  );
  const { outputFiles } = await build({
    entryPoints: [here('caller.ts')],
    alias,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: 'external',
    write: false,
    logLevel: 'error',
  });
  return outputFiles[0]?.text as string;
}
