/**
 * @module Clients before servers with one worker each and a queue, Poisson arrivals; the work of a request that was canceled
 * is done nevertheless, which is the worst case. What is drawn for a call is the same with and without hedges: what is left
 * to differ is what hedges do, and not their luck.
 */
import { balance, Cluster, fixed } from '@fairlead/balance';
import { compose, createCall, discard, type Handler, later, type Runtime, Scope } from '@fairlead/core';
import { type HedgeOptions, hedge } from '@fairlead/policies';
import { Prng, VirtualClock } from '@fairlead/testing';
import { Read } from './read.ts';

export const SERVERS = 20;
export const CLIENTS = 4;
const WORK_MS = 10;

/** One worker and a queue. `straggles`: a hundredth of its requests take twenty times as long. */
class Server {
  #freeAt = 0;
  accept(now: number, workMs: number): number {
    this.#freeAt = Math.max(now, this.#freeAt) + workMs;
    return this.#freeAt;
  }
}

/** Draws the same for a call with and without hedges before it: what is left to differ is what hedges do. */
class CoupledClock extends VirtualClock {
  readonly #seed: number;
  #prng: Prng;

  constructor(seed: number) {
    super({ seed });
    this.#seed = seed;
    this.#prng = new Prng(seed);
  }
  /** What is drawn from now on is for call `n`. */
  begin(n: number): void {
    this.#prng = new Prng(this.#seed * 2 ** 32 + n);
  }
  override random(): number {
    return this.#prng.random();
  }
}

/** What to simulate; `options` null is without hedging. */
export interface Scenario {
  readonly load: number;
  readonly straggles: boolean;
  readonly options: Partial<HedgeOptions> | null;
  readonly seed: number;
  /** Calls; the first half is there to warm up. */
  readonly total: number;
  readonly on?: Runtime['on'];
}

/** What calls took in the second half, in ms, and how many more requests there were, in percent. */
export async function underLoad({
  load,
  straggles,
  options,
  seed,
  total,
  on,
}: Scenario): Promise<{ took: number[]; extra: number }> {
  const clock = new CoupledClock(seed);
  const runtime: Runtime = { clock, on };
  // What arrives when and how long it takes is the same with and without hedges.
  const [arrivals, works, copies] = [new Prng(seed), new Prng(seed + 1), new Prng(seed + 2)];
  const exponential = (prng: Prng): number => -Math.log(1 - prng.random());
  const mean = straggles ? WORK_MS / 1.19 : WORK_MS;
  const workMs = (prng: Prng): number => {
    const straggler = straggles && prng.random() < 0.01;
    return exponential(prng) * mean * (straggler ? 20 : 1);
  };
  const origins = Array.from({ length: SERVERS }, (_, i) => `http://10.0.0.${i + 1}:8080`);
  const servers = new Map(origins.map((origin) => [origin, new Server()]));
  let sent = 0;
  const transport: Handler = (call) => {
    sent++;
    const work = workMs(call.attempt === 1 ? works : copies);
    const server = servers.get(call.endpoint?.origin as string) as Server;
    const at = server.accept(clock.now(), work);
    return new Promise((resolve, reject) => {
      const read = new Read(call, resolve, reject);
      call.scope.watch(read);
      clock.arm(read, at);
    });
  };
  const clusters: Cluster[] = [];
  const clients = Array.from({ length: CLIENTS }, () => {
    const cluster = new Cluster({ service: 's', resolver: fixed(origins), runtime });
    clusters.push(cluster);
    return compose([...(options === null ? [] : [hedge(options)]), balance({ cluster })], transport);
  });
  const warm = total / 2;
  const took: number[] = [];
  const every = WORK_MS / (SERVERS * load);
  let n = 0;
  const done = new Promise<void>((resolve) => {
    const arrive = (): void => {
      const i = n++;
      if (i < total) later(clock, exponential(arrivals) * every, arrive);
      const scope = new Scope(clock);
      const began = clock.now();
      clock.begin(i);
      (clients[i % CLIENTS] as Handler)(createCall({ service: 's', runtime, scope })).then((reply) => {
        discard(reply);
        scope.close();
        if (i >= warm) took.push(clock.now() - began);
        if (i === total) resolve();
      });
    };
    arrive();
  });
  await clock.run(done);
  for (const cluster of clusters) cluster.close();
  return { took, extra: ((sent - n) / n) * 100 };
}
