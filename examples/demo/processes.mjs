// Starting and stopping the real processes of the demonstration.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Ports that are free at this moment. */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function start(script, args) {
  const child = fork(file(script), args.map(String), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${script} ${args.join(' ')} ended with ${code} before it was ready`);
    }),
  ]);
  if (!message.ready) throw new Error(`${script} said ${JSON.stringify(message)} instead of being ready`);
  return child;
}

/** One replica of payments, which can be replaced by a new process on the same port. */
export class Replica {
  constructor(port) {
    this.port = port;
    this.origin = `http://127.0.0.1:${port}`;
    this.child = null;
  }
  async start() {
    this.child = await start('payments.mjs', [this.port]);
  }
  async stop(signal) {
    const child = this.child;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
  async mode(mode) {
    this.child.send({ mode });
    await once(this.child, 'message');
  }
  freeze() {
    this.child.kill('SIGSTOP');
  }
  thaw() {
    this.child.kill('SIGCONT');
  }
}

/** A gateway process of either kind. */
export class Gateway {
  constructor(kind, port, child) {
    this.kind = kind;
    this.port = port;
    this.child = child;
  }
  static async start(kind, port, replicas) {
    return new Gateway(kind, port, await start('gateway.mjs', [kind, port, ...replicas.map((each) => each.origin)]));
  }
  /** Calls and attempts since the last time. */
  async counts() {
    this.child.send({});
    const [counts] = await once(this.child, 'message');
    return counts;
  }
}
