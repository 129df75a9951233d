/** Would catch a service whose workers do not hear of the signal, hear of it twice, or are left behind by the first process. */
import { spawn } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundle, Child, killChildren } from '../../tests/child.js';
import { ask, Wire } from '../../tests/harness.js';

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

describe('a worker of a cluster', { timeout: 30_000 }, () => {
  it('takes a signal that comes behind the message for the same one, and the next for the second', async () => {
    const child = start('cluster', '20000', 'listens');
    await child.prints(/port \d+[\s\S]*port \d+/);
    const port = Number(/port (\d+)/.exec(child.output)?.[1]);
    // The workers of a cluster share their port.
    const wire = await Wire.open(port);
    wire.get('/hang');
    const pid = Number(await child.prints(/hanging in (\d+)/));
    child.process.kill('SIGTERM');
    // Both of them have got the message, who are asked in turn.
    for (let i = 0; i < 2; i++) while ((await ask(port)).headers.connection !== 'close');
    process.kill(pid, 'SIGTERM');
    await child.prints(/signaled/);
    // Nothing has been cut, or this would have been said before.
    expect(child.output).not.toContain('cleaned up');
    process.kill(pid, 'SIGTERM');
    await wire.closed;
    await child.prints(/worker ended null SIGTERM/);
  });
});
