// Catches: a call that fails because of what Kubernetes does to the pods behind it, or because its API server is away:
// pods are processes, the API server is a process, and the client is under load all the while.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createEndpoint } from '@fairlead/core';
import { connectTo, kubernetes } from '@fairlead/kubernetes';
import { createTransport } from '@fairlead/transport';
import { expect, it } from 'vitest';
import { certificate } from '../../test/certificate.js';
import { attempts, type Got, get, type Replica, type Told, tally, until, worlds } from '../../test/world.js';

const world = worlds();
const script = fileURLToPath(new URL('../../../kubernetes/test/api-process.ts', import.meta.url));

/** The scripted API server, in a process of its own. */
class ApiProcess {
  origin = '';
  readonly #child = fork(script, ['h2', certificate.cert, certificate.key], { execArgv: [] });
  readonly #answers: Map<number, (answer: { origin: string; watching: number }) => void> = new Map();
  #sent = 0;

  constructor() {
    this.#child.on('message', (answer: { id: number; origin: string; watching: number }) => {
      this.#answers.get(answer.id)?.(answer);
      this.#answers.delete(answer.id);
    });
  }

  /** Makes the model, or the listener (`start`, `stop`), do something. */
  async tell(method: string, ...args: unknown[]): Promise<number> {
    const id = ++this.#sent;
    const answered = new Promise<{ origin: string; watching: number }>((resolve) => this.#answers.set(id, resolve));
    this.#child.send({ id, method, args });
    const { origin, watching } = await answered;
    this.origin = origin;
    return watching;
  }

  /** Process stopped, as with a node that is lost: connections stay, and nothing comes any more. */
  freeze(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  async end(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** A Service whose pods are processes. */
class Pods {
  readonly running: Replica[] = [];
  constructor(readonly api: ApiProcess) {}

  async add(count: number): Promise<void> {
    const more = await Promise.all(Array.from({ length: count }, () => world.replica({ DELAY: '5' })));
    this.running.push(...more);
  }

  /** One slice for each port, since each of these pods has its own. */
  publish(leaving: readonly Replica[] = []): Promise<unknown> {
    return Promise.all(
      this.running.map(({ origin, process }) => {
        const ports = [{ name: 'http', port: Number(new URL(origin).port), protocol: 'TCP' }];
        const terminating = leaving.some((each) => each.process === process);
        const conditions = { ready: !terminating, serving: true, terminating };
        const endpoints = [{ addresses: ['127.0.0.1'], conditions }];
        return this.api.tell('put', { service: 'svc', name: `svc-${process.pid}`, endpoints, ports });
      }),
    );
  }

  async remove(pod: Replica): Promise<void> {
    this.running.splice(this.running.indexOf(pod), 1);
    await this.api.tell('delete', `svc-${pod.process.pid}`);
  }

  /** Every pod is replaced, one at a time: a new one is ready before an old one leaves, and that one serves for a while. */
  async roll(client: Told): Promise<void> {
    for (const old of [...this.running]) {
      await this.add(1);
      await this.publish([old]);
      await furtherCalls(client, 30);
      await this.remove(old);
      await furtherCalls(client, 30);
      old.process.kill('SIGKILL');
    }
  }
}

/** Waits for so many more attempts to end. */
function furtherCalls(client: Told, count: number): Promise<void> {
  const before = attempts(client);
  return until(() => attempts(client) >= before + count, `${count} more attempts`);
}

/** Calls, 16 at a time, until `done`. */
async function loadUntil(client: Told, done: Promise<unknown>): Promise<Got[]> {
  let over = false;
  void done.finally(() => (over = true)).catch(() => {});
  const all: Got[] = [];
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (!over) all.push(await get(client.fetch));
    }),
  );
  await done;
  return all;
}

async function serving(test: (api: ApiProcess, pods: Pods, client: Told) => Promise<void>): Promise<void> {
  const api = new ApiProcess();
  try {
    await api.tell('start');
    const pods = new Pods(api);
    await pods.add(3);
    await pods.publish();
    const access = { server: createEndpoint(api.origin), ca: certificate.cert, namespace: 'prod', token: () => 't' };
    const connection = connectTo(access, (tls) => createTransport({ http2: true, tls }));
    const from = kubernetes({
      ...{ service: 'svc', port: 'http', access, handler: connection.handler },
      ...{ minBackoffMs: 20, maxBackoffMs: 200, spreadMs: 300 },
    });
    const client = world.client({ services: { svc: { from } } });
    await get(client.fetch);
    await test(api, pods, client);
    await client.close();
    await connection.close(0);
  } finally {
    await api.end();
  }
}

const known = (client: Told): number => client.describe().svc?.endpoints.length ?? 0;
const origins = (client: Told): string[] => (client.describe().svc?.endpoints ?? []).map(({ origin }) => origin).sort();
const here = (pods: Pods): string[] => pods.running.map(({ origin }) => origin).sort();

it(
  'a rolling update of every pod under load: no failed call',
  () =>
    serving(async (_api, pods, client) => {
      const calls = await loadUntil(client, pods.roll(client));
      expect(tally(calls)).toEqual({ 200: calls.length });
      expect(calls.length).toBeGreaterThan(100);
      await until(() => `${origins(client)}` === `${here(pods)}`, 'the new pods');
    }),
  30_000,
);

it(
  'the API server is away under load, and comes back having forgotten the past: no failed call',
  () =>
    serving(async (api, pods, client) => {
      const away = async (): Promise<void> => {
        await api.tell('stop');
        await furtherCalls(client, 500);
        expect(known(client)).toBe(3);
        await api.tell('compact');
        await api.tell('start');
        await pods.add(1);
        await pods.publish();
        await until(() => known(client) === 4, 'the pod that came meanwhile');
      };
      const calls = await loadUntil(client, away());
      expect(tally(calls)).toEqual({ 200: calls.length });
    }),
  30_000,
);

it(
  'the API server is away during a rolling update: no failed call',
  () =>
    serving(async (api, pods, client) => {
      const away = async (): Promise<void> => {
        await pods.add(1);
        await pods.publish();
        await until(() => known(client) === 4, 'four pods');
        const [old] = pods.running as [Replica];
        await api.tell('stop');
        // Nobody says that it leaves: the calls find out.
        await pods.remove(old);
        old.process.kill('SIGKILL');
        await furtherCalls(client, 300);
        await api.tell('start');
        await until(() => `${origins(client)}` === `${here(pods)}`, 'the pods that are left');
        await pods.roll(client);
      };
      const calls = await loadUntil(client, away());
      expect(tally(calls)).toEqual({ 200: calls.length });
    }),
  30_000,
);

it(
  'the API server is frozen under load, and runs on: no failed call, and no change is lost',
  () =>
    serving(async (api, pods, client) => {
      const frozen = async (): Promise<void> => {
        api.freeze('SIGSTOP');
        await pods.add(1);
        const published = pods.publish();
        await furtherCalls(client, 200);
        expect(known(client)).toBe(3);
        api.freeze('SIGCONT');
        await published;
        await until(() => known(client) === 4, 'the pod that came meanwhile');
      };
      const calls = await loadUntil(client, frozen());
      expect(tally(calls)).toEqual({ 200: calls.length });
    }),
  30_000,
);
