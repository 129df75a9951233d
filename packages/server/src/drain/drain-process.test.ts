/** Would catch a real process that does not stop on a real signal, stops too early, or with an exit code of its own. */
import { spawn } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundle, Child, killChildren } from '../../tests/child.js';
import { ask, Wire } from '../../tests/harness.js';

let script: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ script, remove } = await bundle('drain-child'));
});
afterAll(() => remove());
afterEach(killChildren);

const start = (...args: string[]): Child => new Child(spawn(process.execPath, [script, ...args]));

// Real processes start in real time, which on a busy machine is seconds.
describe('a real process', { timeout: 30_000 }, () => {
  it('drains on SIGTERM, found by its middleware alone, and dies of the signal', async () => {
    const child = start('300');
    const port = Number(await child.prints(/port (\d+)/));
    expect((await ask(port)).body).toBe('ok');
    const silent = await Wire.open(port);
    child.process.kill('SIGTERM');
    let connection: string | undefined;
    // The signal arrives in its own time, well within the delay.
    while (connection !== 'close') connection = (await ask(port)).headers.connection;
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.output).toContain('cleaned up');
    await silent.closed;
  });

  it('has exit code 143 for whoever asks a shell', async () => {
    const child = new Child(
      spawn('sh', ['-c', '"$0" "$@" & echo "pid $!"; wait $!; echo "code $?"', process.execPath, script, '0']),
    );
    const pid = Number(await child.prints(/pid (\d+)/));
    await child.prints(/port (\d+)/);
    process.kill(pid, 'SIGTERM');
    await child.exited;
    expect(child.output).toContain('code 143');
  });

  it('stops at once at the second signal', async () => {
    const child = start('20000');
    const port = Number(await child.prints(/port (\d+)/));
    const wire = await Wire.open(port);
    wire.get('/hang');
    await child.prints(/hanging/);
    child.process.kill('SIGTERM');
    while ((await ask(port)).headers.connection !== 'close');
    child.process.kill('SIGTERM');
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    await wire.closed;
  });

  it('leaves the end to a listener of the application', async () => {
    const child = start('0', 'own-listener');
    await child.prints(/port (\d+)/);
    child.process.kill('SIGTERM');
    expect(await child.exited).toEqual({ code: 7, signal: null });
    expect(child.output.match(/own listener/g)).toHaveLength(1);
  });
});
