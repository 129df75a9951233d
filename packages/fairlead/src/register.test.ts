// Catches: `--import fairlead/register` that does not reach fetch, that touches calls to other hosts, that lets a process
// start half-configured, or that keeps a process alive which has nothing to do. Runs the built package, as users do.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const register = new URL('../dist/register.js', import.meta.url);
const built = existsSync(fileURLToPath(register));
if (!built) console.warn('register.test.ts is skipped: packages/fairlead/dist is missing; npm run build makes it');

/** A server in a thread of its own: the children are waited for synchronously. */
let server: Worker;
let origin = '';

beforeAll(async () => {
  server = new Worker(
    `const { createServer } = require('node:http');
     const { parentPort } = require('node:worker_threads');
     const server = createServer((request, response) => response.end('seen ' + request.url));
     server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`,
    { eval: true },
  );
  const [port] = await once(server, 'message');
  origin = `http://127.0.0.1:${port}`;
});
afterAll(() => server.terminate());

function run(
  flag: string,
  code: string,
  env: Record<string, string>,
): { status: number | null; out: string; err: string } {
  const file = flag === '--require' ? fileURLToPath(register) : register.href;
  const args = [flag, file, '--input-type=module', '--eval', code];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    env: { PATH: process.env.PATH ?? '', ...env },
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, out: stdout.trim(), err: stderr };
}

const call = (url: string): string => `console.log(await (await fetch(${JSON.stringify(url)})).text());`;

describe.skipIf(!built)('fairlead/register', () => {
  it.each(['--import', '--require'])(
    'with %s sends calls to a service through the stack, and others as ever',
    (flag) => {
      const env = { FAIRLEAD_SERVICE_PAYMENTS: `http://127.0.0.1:1,${origin}` };
      const result = run(flag, `${call('http://payments/a')} ${call(`${origin}/b`)}`, env);
      expect(result).toEqual({ status: 0, out: 'seen /a\nseen /b', err: '' });
    },
  );

  it('keeps the names of its layers through the build', () => {
    const index = new URL('./index.js', register).href;
    const code = `import { createClient } from ${JSON.stringify(index)};
      const client = createClient({ services: { a: 'http://127.0.0.1:1' }, environment: false });
      console.log(client.describe().a.layers.join(' '));`;
    const expected = 'trace observe deadline breaker retry attemptTimeout balance propagate observeAttempt transport';
    expect(run('--import', code, {})).toEqual({ status: 0, out: expected, err: '' });
  });

  it('is also in the way of everything that uses the global dispatcher', () => {
    const env = { FAIRLEAD_SERVICE_PAYMENTS: `http://127.0.0.1:1,${origin}` };
    const ask = (url: string): string => `console.log(await (await request(${JSON.stringify(url)})).body.text());`;
    const code = `import { request } from 'undici'; ${ask('http://payments/a')} ${ask(`${origin}/b`)}`;
    expect(run('--import', code, env)).toEqual({ status: 0, out: 'seen /a\nseen /b', err: '' });
  });

  it('leaves fetch alone where there is nothing to do', () => {
    const code = 'console.log(fetch.toString().includes("native") || fetch.name)';
    const before = run('--import', code, {});
    // The kill switch works whatever else is wrong.
    const env = { FAIRLEAD_SERVICE_A: origin, FAIRLEAD_DISABLED: 'true', FAIRLEAD_TIMEOUT: '5 sec' };
    expect(run('--import', code, env)).toEqual(before);
  });

  it('does not let a process start with a configuration that is wrong', () => {
    const { status, out, err } = run('--import', 'console.log("started")', {
      FAIRLEAD_SERVICE_PAYMENTS: origin,
      FAIRLEAD_SERVICE_PAYMENTS_ATEMPTS: '3',
      FAIRLEAD_TIMEOUT: '5 sec',
    });
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toMatch(/ATEMPTS/);
    expect(err).toMatch(/did you mean FAIRLEAD_SERVICE_PAYMENTS_ATTEMPTS/);
    expect(err).toMatch(/FAIRLEAD_TIMEOUT = "5 sec"/);
  });
});
