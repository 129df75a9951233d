// Catches: FAIRLEAD_INSTALL_HTTP that does not bring clients of node:http onto the stacks, that does so where nobody asked,
// and a register that does not get along with other modules that are loaded by --import and replace parts of node:http.
import { describe, expect, it } from 'vitest';
import { built, type Ended, pathServer, register, run } from '../test/registered.js';

const origin = pathServer();

/** A module for --import. */
const preload = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;

/** Runs `code` after these modules, ours among them. */
function after(imports: readonly string[], code: string, env: Record<string, string>): Ended {
  return run(
    imports.flatMap((each) => ['--import', each]),
    code,
    env,
  );
}

const env = (more: Record<string, string> = {}): Record<string, string> => ({
  FAIRLEAD_SERVICE_PAYMENTS: `http://127.0.0.1:1,${origin()}`,
  FAIRLEAD_INSTALL_HTTP: 'true',
  ...more,
});

/** Sends with node:http and says what came. */
const ask = `
  import http from 'node:http';
  import https from 'node:https';
  const get = (url, options = {}) => new Promise((resolve) => {
    (url.startsWith('https') ? https : http).get(url, options, (reply) => {
      let text = '';
      reply.on('data', (data) => (text += data)).on('end', () => resolve(text));
    }).on('error', (error) => resolve(error.code));
  });`;

/** Tells whether the agents are as node made them. */
const remember = preload(`
  import http from 'node:http';
  import https from 'node:https';
  const now = () => [http.Agent.prototype.createConnection, https.Agent.prototype.createConnection];
  const before = now();
  globalThis.untouched = () => now().every((each, n) => each === before[n]);`);

describe.skipIf(!built)('FAIRLEAD_INSTALL_HTTP', () => {
  it.each(['true', '1', 'Yes', ' on '])(
    '%j brings node:http, node:https and what uses them onto the stacks',
    (value) => {
      const code = `${ask}
      import axios from 'axios';
      console.log(await get('http://payments/a'), await get('https://payments/b', { agent: false }));
      console.log((await axios.get('http://payments/c')).data, await (await fetch('http://payments/d')).text());
      console.log(await get('${origin()}/e'));`;
      const result = after([register.href], code, env({ FAIRLEAD_INSTALL_HTTP: value }));
      expect(result).toEqual({ status: 0, out: 'seen /a seen /b\nseen /c seen /d\nseen /e', err: '' });
    },
  );

  it('reaches what CommonJS has got hold of before', () => {
    const first = preload(
      "import { createRequire } from 'node:module'; globalThis.kept = createRequire('/')('http').get;",
    );
    const code = `kept('http://payments/a', (reply) => reply.on('data', (data) => console.log(String(data))));`;
    expect(after([first, register.href], code, env())).toEqual({ status: 0, out: 'seen /a', err: '' });
  });

  it.each<[string, Record<string, string>]>([
    ['is false', { FAIRLEAD_INSTALL_HTTP: 'false' }],
    ['is empty', { FAIRLEAD_INSTALL_HTTP: '' }],
    ['is not heard, since all is disabled', { FAIRLEAD_DISABLED: 'true' }],
  ])('does nothing where it %s', (_, more) => {
    const result = after([remember, register.href], 'console.log(untouched())', env(more));
    expect(result).toEqual({ status: 0, out: 'true', err: '' });
  });

  it('does nothing where there is no service, and what remember() tells is true', () => {
    const only = { FAIRLEAD_INSTALL_HTTP: 'true' };
    expect(after([remember, register.href], 'console.log(untouched())', only).out).toBe('true');
    expect(after([remember, register.href], 'console.log(untouched())', env()).out).toBe('false');
  });

  it('that is no switch ends the process before it starts', () => {
    const result = after([register.href], 'console.log("started")', env({ FAIRLEAD_INSTALL_HTTP: 'maybe' }));
    expect(result).toMatchObject({ status: 1, out: '' });
    expect(result.err).toMatch(/FAIRLEAD_INSTALL_HTTP = "maybe"/);
  });

  it('obeys the settings of the service', () => {
    const settings = { FAIRLEAD_SERVICE_PAYMENTS: 'http://127.0.0.1:1', FAIRLEAD_SERVICE_PAYMENTS_ATTEMPTS: '1' };
    const code = `${ask} console.log(await get('http://payments/'));`;
    expect(after([register.href], code, env(settings))).toEqual({ status: 0, out: 'ECONNREFUSED', err: '' });
  });

  it('does not keep a process alive that has nothing left to do', () => {
    const code = `${ask} const agent = new http.Agent({ keepAlive: true }); console.log(await get('http://payments/a', { agent }));`;
    expect(after([register.href], code, env())).toEqual({ status: 0, out: 'seen /a', err: '' });
  });
});

describe.skipIf(!built)('another module that replaces parts of node:http', () => {
  /** As instrumentations do it: `get` and `request` of the module. */
  const requests = preload(`
    import http from 'node:http';
    import { syncBuiltinESMExports } from 'node:module';
    globalThis.requests = [];
    const { get } = http;
    http.get = (url, ...rest) => { requests.push(String(url)); return get(url, ...rest); };
    syncBuiltinESMExports();`);
  /** As proxies do it: where connections are made. */
  const connections = preload(`
    import http from 'node:http';
    globalThis.connections = [];
    const { createConnection } = http.Agent.prototype;
    http.Agent.prototype.createConnection = function (options, ...rest) {
      connections.push(options.host);
      return createConnection.call(this, options, ...rest);
    };`);
  const code = (): string => `${ask}
    console.log(await get('http://payments/a'), await get('${origin()}/b'));
    console.log((globalThis.requests ?? connections).join());`;

  it.each([
    ['before', [requests, register.href]],
    ['after', [register.href, requests]],
  ] as const)('%s ours sees all requests', (_, imports) => {
    const out = `seen /a seen /b\nhttp://payments/a,${origin()}/b`;
    expect(after(imports, code(), env())).toEqual({ status: 0, out, err: '' });
  });

  it('before ours has the connections to other hosts', () => {
    const out = 'seen /a seen /b\n127.0.0.1';
    expect(after([connections, register.href], code(), env())).toEqual({ status: 0, out, err: '' });
  });

  it('after ours has all of them, and hands those to services on', () => {
    const out = 'seen /a seen /b\npayments,127.0.0.1';
    expect(after([register.href, connections], code(), env())).toEqual({ status: 0, out, err: '' });
  });
});
