// Catches: `--import fairlead/register` that does not reach fetch, that touches calls to other hosts, that lets a process
// start half-configured, or that keeps a process alive which has nothing to do. Runs the built package, as users do.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { built, type Ended, pathServer, register, run as runWith } from '../test/registered.js';

const origin = pathServer();

function run(flag: string, code: string, env: Record<string, string>): Ended {
  return runWith([flag, flag === '--require' ? fileURLToPath(register) : register.href], code, env);
}

const call = (url: string): string => `console.log(await (await fetch(${JSON.stringify(url)})).text());`;

describe.skipIf(!built)('fairlead/register', () => {
  it.each(['--import', '--require'])(
    'with %s sends calls to a service through the stack, and others as ever',
    (flag) => {
      const env = { FAIRLEAD_SERVICE_PAYMENTS: `http://127.0.0.1:1,${origin()}` };
      const result = run(flag, `${call('http://payments/a')} ${call(`${origin()}/b`)}`, env);
      expect(result).toEqual({ status: 0, out: 'seen /a\nseen /b', err: '' });
    },
  );

  it('keeps the names of its layers through the build', () => {
    const index = new URL('./index.js', register).href;
    const code = `import { createClient } from ${JSON.stringify(index)};
      const client = createClient({ services: { a: 'http://127.0.0.1:1' }, environment: false });
      console.log(client.describe().a.layers.join(' '));`;
    const expected = 'trace deadline breaker retry attemptTimeout balance propagate transport';
    expect(run('--import', code, {})).toEqual({ status: 0, out: expected, err: '' });
  });

  it('is also in the way of everything that uses the global dispatcher', () => {
    const env = { FAIRLEAD_SERVICE_PAYMENTS: `http://127.0.0.1:1,${origin()}` };
    const ask = (url: string): string => `console.log(await (await request(${JSON.stringify(url)})).body.text());`;
    const code = `import { request } from 'undici'; ${ask('http://payments/a')} ${ask(`${origin()}/b`)}`;
    expect(run('--import', code, env)).toEqual({ status: 0, out: 'seen /a\nseen /b', err: '' });
  });

  it('leaves fetch alone where there is nothing to do', () => {
    const code = 'console.log(fetch.toString().includes("native") || fetch.name)';
    const before = run('--import', code, {});
    // The kill switch works whatever else is wrong.
    const env = { FAIRLEAD_SERVICE_A: origin(), FAIRLEAD_DISABLED: 'true', FAIRLEAD_TIMEOUT: '5 sec' };
    expect(run('--import', code, env)).toEqual(before);
  });

  it('does not let a process start with a configuration that is wrong', () => {
    const { status, out, err } = run('--import', 'console.log("started")', {
      FAIRLEAD_SERVICE_PAYMENTS: origin(),
      FAIRLEAD_SERVICE_PAYMENTS_ATEMPTS: '3',
      FAIRLEAD_TIMEOUT: '5 sec',
    });
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toMatch(/ATEMPTS/);
    expect(err).toMatch(/did you mean FAIRLEAD_SERVICE_PAYMENTS_ATTEMPTS/);
    expect(err).toMatch(/FAIRLEAD_TIMEOUT = "5 sec"/);
  });
});
