/** @module The processes of one service: its replicas, which come and go, and an application that calls it all the while. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { sleep, systemClock } from 'fairlead';

/** One replica. */
export interface Replica {
  readonly port: number;
  readonly process: ChildProcess;
}

/** Where the application stands. */
export interface Told {
  /** Calls that have ended. */
  readonly calls: number;
  /** How many of them failed, by why. */
  readonly failures: Readonly<Record<string, number>>;
  /** Of all calls, in ms. */
  readonly p99: number;
  readonly most: number;
  /** The endpoints that it knows, by their ports, which tell them apart here. */
  readonly ports: readonly number[];
  /** Since discovery last told it anything. */
  readonly ageMs: number | null;
  readonly error: string | null;
}

const scriptOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Starts `count` replicas. */
export function startReplicas(count: number): Promise<readonly Replica[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const process_ = fork(scriptOf('replica.mjs'));
      const [port] = (await once(process_, 'message')) as [number];
      return { port, process: process_ };
    }),
  );
}

/** Asks a replica to stop, as Kubernetes does; it drains, and has ended after that. */
export async function stopReplica({ process: process_ }: Replica): Promise<void> {
  const gone = once(process_, 'exit');
  process_.kill('SIGTERM');
  await gone;
}

/** An application under load. */
export class Application {
  readonly #process: ChildProcess;

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#process = fork(scriptOf('client.mjs'), args, { env: { PATH: process.env.PATH, ...env } });
  }

  async ask(what: 'tell' | 'stop' = 'tell'): Promise<Told> {
    this.#process.send(what);
    const [told] = (await once(this.#process, 'message')) as [Told];
    return told;
  }

  /** Waits until it knows these replicas and no others. @returns how long that took, in ms */
  async knows(replicas: readonly Replica[], withinMs = 30_000): Promise<number> {
    const begun = systemClock.now();
    const expected = replicas.map(({ port }) => port).sort();
    let told = await this.ask();
    for (; `${told.ports}` !== `${expected}`; told = await this.ask()) {
      if (systemClock.now() - begun > withinMs) {
        throw new Error(`${expected} are not known within ${withinMs} ms: ${JSON.stringify(told)}`);
      }
      await sleep(systemClock, 50);
    }
    return systemClock.now() - begun;
  }

  end(): void {
    this.#process.disconnect();
  }
}
