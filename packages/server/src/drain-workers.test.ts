/** Would catch a service whose workers do not hear of the signal, hear of it twice, or are left behind by the first process. */
import { spawn } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundle, Child, killChildren } from '../tests/child.js';
import { ask, Wire } from '../tests/harness.js';

let script: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ script, remove } = await bundle('drain-workers-child'));
});
afterAll(() => remove());
afterEach(killChildren);

const start = (...args: string[]): Child => new Child(spawn(process.execPath, [script, ...args], { detached: true }));

// Real processes start in real time, which on a busy machine is seconds.
describe.each([
  ['cluster', 'worker ended null SIGTERM'],
  ['threads', 'worker ended 0'],
])('a service of workers: %s', { timeout: 30_000 }, (kind, ended) => {
  const count = (child: Child, text: string): number => child.output.split(text).length - 1;

  it('passes the signal on, serves while its workers do, and ends after them', async () => {
    const child = start(kind, '300');
    await child.prints(/port \d+[\s\S]*port \d+/);
    const ports = [...child.output.matchAll(/port (\d+)/g)].map((match) => Number(match[1]));
    child.process.kill('SIGTERM');
    const port = ports[0] as number;
    while ((await ask(port)).headers.connection !== 'close');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(count(child, ended)).toBe(2);
    expect(child.output).toMatch(/worker \d cleaned up[\s\S]*worker \d cleaned up[\s\S]*primary cleaned up/);
  });

  it('takes a signal that reaches everybody, too, for the same one', async () => {
    const child = start(kind, '300');
    await child.prints(/port \d+[\s\S]*port \d+/);
    const port = Number(/port (\d+)/.exec(child.output)?.[1]);
    const wire = await Wire.open(port);
    wire.get('/hang');
    await child.prints(/hanging/);
    // As systemd does, and a terminal.
    process.kill(-(child.process.pid as number), 'SIGTERM');
    while ((await ask(port)).headers.connection !== 'close');
    // Had it been taken for two, this connection would have been cut at once.
    expect(wire.socket.destroyed).toBe(false);
    wire.socket.destroy();
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(count(child, ended)).toBe(2);
  });

  it('passes a second one on as well', async () => {
    const child = start(kind, '20000');
    await child.prints(/port \d+[\s\S]*port \d+/);
    const port = Number(/port (\d+)/.exec(child.output)?.[1]);
    const wire = await Wire.open(port);
    wire.get('/hang');
    await child.prints(/hanging/);
    child.process.kill('SIGTERM');
    while ((await ask(port)).headers.connection !== 'close');
    child.process.kill('SIGTERM');
    await child.exited;
    await wire.closed;
  });
});
