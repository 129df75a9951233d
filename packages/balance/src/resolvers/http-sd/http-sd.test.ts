// Catches: an answer that is none and costs endpoints, a question that is asked too often, too seldom, for ever or with the
// wrong headers, a secret in a message, and a question or timer that outlives its scope.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Endpoint, type Handler, headerOf, type Resolver, type ResolverUpdate, Scope } from '@fairlead/core';
import {
  checkLeaks,
  hang,
  type ReplyStepOptions,
  type ResolverSource,
  refuse,
  reply,
  reset,
  resolverConformance,
  type Script,
  type Step,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { type HttpSdOptions, httpSd, httpSdDefaults, httpSdOf } from './http-sd.js';

const url = 'http://10.0.0.1:9000/targets?of=a&token=s3cret';
const name = 'http-sd+http://10.0.0.1:9000/targets?of=a&token=***';
const type = { 'content-type': 'application/json' };

function groups(...targets: readonly string[]): string {
  return JSON.stringify([{ targets, labels: { zone: 'a' } }]);
}

function ok(body: string, options: ReplyStepOptions = {}): Step {
  return reply(200, { body, ...options, headers: { ...type, ...options.headers } });
}

function watch(script: Script, options: Partial<HttpSdOptions> = {}, seed = 1) {
  const clock = new VirtualClock({ seed });
  const backend = scripted(script);
  const scope = new Scope(clock);
  const told: ResolverUpdate[] = [];
  const times: number[] = [];
  const resolver = httpSd({ url, handler: backend, ...options });
  resolver.watch(
    (update) => {
      told.push(update);
      times.push(clock.now());
    },
    scope,
    { clock },
  );
  const said = (): (string | undefined)[] =>
    told.map((update) =>
      'error' in update ? update.error.message : update.endpoints.map(({ origin }) => origin.slice(7)).join(' '),
    );
  const gaps = (): number[] => times.slice(1).map((time, i) => time - (times[i] as number));
  return { clock, backend, scope, told, times, said, gaps, resolver };
}

describe('httpSd', () => {
  it('asks the server of its URL, says how often, tells what is answered, and waits in the background', async () => {
    const { clock, backend, told, resolver } = watch(ok(groups('10.0.0.5:8080', '10.0.0.6:8080')));
    await clock.advance(0);
    const [{ endpoints }] = told as [{ endpoints: readonly Endpoint[] }];
    expect(endpoints.map(({ origin, zone }) => [origin, zone])).toEqual([
      ['http://10.0.0.5:8080', 'a'],
      ['http://10.0.0.6:8080', 'a'],
    ]);
    const [call] = backend.calls;
    expect([call?.method, call?.path, call?.endpoint?.origin]).toEqual([
      'GET',
      '/targets?of=a&token=s3cret',
      'http://10.0.0.1:9000',
    ]);
    expect(call?.headers).toEqual(['accept', 'application/json', 'x-prometheus-refresh-interval-seconds', '30']);
    expect([clock.pending, clock.pendingForeground]).toEqual([1, 0]);
    // A query may hold a secret, and tells one source from another.
    expect(resolver.name).toBe(name);
  });

  it('asks every refreshMs, ±10 %, one question at a time', async () => {
    const { clock, backend, gaps } = watch(ok(groups('a'), { afterMs: 9_000 }), { refreshMs: 2_500 });
    await clock.advance(1_000_000);
    expect(Math.min(...gaps())).toBeGreaterThanOrEqual(9_000 + 2_250);
    expect(Math.max(...gaps())).toBeLessThanOrEqual(9_000 + 2_750);
    expect(Math.max(...gaps()) - Math.min(...gaps())).toBeGreaterThan(300);
    expect(backend.peak).toBe(1);
    expect(headerOf(backend.calls[0]?.headers ?? [], 'x-prometheus-refresh-interval-seconds')).toBe('2.5');
  });

  it('asks by tag for what is new only, and tells that the old still holds', async () => {
    const tag = (n: number) => ({ headers: { etag: `W/"${n}"` } });
    const steps = [
      ok(groups('a'), tag(1)),
      reply(304, { body: 'as before', stallAfter: 1 }),
      reset(),
      reply(304),
      ok(groups('b'), tag(2)),
      ok('{', tag(3)),
      reply(304),
      ok(groups('c')),
      ok(groups('d')),
    ];
    const { clock, backend, said, scope } = watch(steps);
    await clock.advance(8 * 33_000);
    scope.cancel();
    checkLeaks({ clock, backend, scopes: [scope] });
    expect(said().slice(0, 9)).toEqual([
      'a',
      'a',
      `${name}: http_sd: wait failed at http://10.0.0.1:9000: ECONNRESET`,
      'a',
      'b',
      expect.stringContaining('line 1, column 2'),
      'b',
      'c',
      'd',
    ]);
    const tags = backend.calls.slice(0, 9).map(({ headers }) => headerOf(headers, 'if-none-match'));
    const [one, two] = ['W/"1"', 'W/"2"'];
    expect(tags).toEqual([undefined, one, one, one, one, two, two, two, undefined]);
  });

  it('takes an answer without endpoints for nobody, and a service that is missing for an error', async () => {
    const services = JSON.stringify({ services: { payments: ['http://a'], ledger: [] } });
    for (const [body, service, expected] of [
      ['[]', null, ''],
      ['[{"targets":[]}]', null, ''],
      ['{"endpoints":[]}', null, ''],
      [services, 'payments', 'a'],
      [services, 'ledger', ''],
      [services, 'ledgr', expect.stringMatching(/the answer: 1 problem\n.*did you mean ledger\?/)],
      ['', null, expect.stringContaining('content = ""')],
      ['null', null, expect.stringContaining('content = null')],
    ] as const) {
      const { clock, said } = watch(ok(body), { service });
      await clock.advance(0);
      expect(said()).toEqual([expected]);
    }
  });

  it.each<[string, Step, string]>([
    ['nobody listens', refuse(), 'connect failed at http://10.0.0.1:9000: ECONNREFUSED'],
    ['the connection is reset', reset(), 'ECONNRESET'],
    ['there is no answer', hang(), 'no answer from this attempt within 10000 ms'],
    ['the answer never ends', ok(groups('b'), { stallAfter: 0 }), 'within 10000 ms'],
    ['it comes byte by byte', ok('', { body: [...groups('b')], betweenMs: 500 }), 'within 10000 ms'],
    ['it is cut off', ok('', { body: ['[', ']'], cutAfter: 1 }), 'body failed'],
    ['it is too long', ok(groups('b').padEnd(1_001)), 'longer than 1000 bytes'],
    ['it is a page', reply(200, { body: '<p>', headers: { 'content-type': 'text/html' } }), 'is text/html, not'],
    ['it says not what it is', reply(200, { body: groups('b') }), 'content type of the answer is missing'],
    ['it is not JSON', ok('<p>'), 'line 1, column 1 = "<p>"'],
    ['it is wrong', ok('[{"targets":["b",7]}]'), '[0].targets[1] = 7'],
    ['the server is broken', reply(500, { body: ' oops\n' }), 'the answer is 500: oops'],
    ['it is forbidden', reply(401), 'the answer is 401'],
    [
      'it is elsewhere',
      reply(302, { body: 'there', headers: { location: '/b' } }),
      'the answer is 302, a redirect to /b, which is not',
    ],
    ['nothing was asked that has not changed', reply(304), 'the answer is 304'],
    ['it is empty', reply(204), 'the answer is 204'],
  ])('keeps what it knew if %s', async (_, step, expected) => {
    const { clock, backend, said, scope } = watch((_call, n) => (n === 2 ? step : ok(groups('a'))), {
      maxBytes: 1_000,
    });
    await clock.advance(33_000 + 10_000);
    expect(said().slice(0, 2)).toEqual(['a', expect.stringContaining(expected)]);
    expect(said()[1]).toContain(`${name}: `);
    expect(said().join()).not.toContain('s3cret');
    await clock.advance(1_000);
    expect(said()[2]).toBe('a');
    scope.cancel();
    checkLeaks({ clock, backend, scopes: [scope] });
  });

  it('backs off after failures, with jitter, within limits, and begins anew after an answer', async () => {
    const { clock, gaps, said, times } = watch((_, n) => (n < 40 || n > 40 ? reply(500) : ok(groups('a'))), {
      maxBackoffMs: 8_000,
    });
    await clock.advance(600_000);
    const failing = gaps().slice(0, 38);
    expect(failing[0]).toBeLessThanOrEqual(1_000);
    expect(failing[1]).toBeLessThanOrEqual(2_000);
    expect(Math.min(...failing)).toBeGreaterThanOrEqual(100);
    expect(Math.max(...failing)).toBeLessThanOrEqual(8_000);
    expect(Math.max(...failing)).toBeGreaterThan(6_000);
    expect(said()[39]).toBe('a');
    expect((times[41] as number) - (times[40] as number)).toBeLessThanOrEqual(1_000);
  });

  it('leaves a server alone for as long as it wants, within limits', async () => {
    for (const [wanted, least, most] of [
      ['20', 20_100, 21_000],
      ['86400', 60_000, 60_000],
      ['soon', 100, 1_000],
    ] as const) {
      const { clock, gaps } = watch([reply(503, { headers: { 'retry-after': wanted } }), ok('[]')]);
      await clock.advance(61_000);
      expect(gaps()[0]).toBeGreaterThanOrEqual(least);
      expect(gaps()[0]).toBeLessThanOrEqual(most);
    }
  });

  it.each([
    ['before the head', hang()],
    ['in the body', ok('[', { stallAfter: 1 })],
  ])('ends with its scope %s', async (_, step) => {
    const { clock, backend, scope, told } = watch(step);
    await clock.advance(5_000);
    expect([backend.waiting + backend.open, clock.pendingForeground]).toEqual([1, 0]);
    scope.cancel();
    await clock.advance(100_000);
    expect([told, backend.calls.length]).toEqual([[], 1]);
    checkLeaks({ clock, backend, scopes: [scope] });
  });

  it('sends the header that it is given, or that is in a file at the time', async () => {
    const given = watch(ok('[]'), { authorization: 'Bearer abc' });
    await given.clock.advance(0);
    expect(headerOf(given.backend.calls[0]?.headers ?? [], 'authorization')).toBe('Bearer abc');

    const folder = mkdtempSync(join(tmpdir(), 'fairlead-http-sd-'));
    const path = join(folder, 'token');
    const read = watch(ok('[]'), { authorizationFile: path, refreshMs: 10 });
    /** Files take real time. */
    const next = async (count: number): Promise<void> => {
      while (read.told.length < count) await read.clock.advance(1);
    };
    try {
      await next(1);
      writeFileSync(path, 'Bearer one\n');
      await read.clock.advance(1_000);
      await next(2);
      writeFileSync(path, 'Basic dHdv');
      await read.clock.advance(12);
      await next(read.told.length + 3);
      writeFileSync(path, 'two\nlines: s3cret');
      await read.clock.advance(12);
      await next(read.told.length + 3);
    } finally {
      read.scope.cancel();
      rmSync(folder, { recursive: true });
    }
    const sent = read.backend.calls.map(({ headers }) => headerOf(headers, 'authorization'));
    expect([...new Set(sent)]).toEqual(['Bearer one', 'Basic dHdv']);
    expect(read.said()[0]).toMatch(/ENOENT/);
    expect(read.said().at(-1)).toBe(`${name}: there is nothing in ${path} that can be an Authorization header`);
    checkLeaks({ clock: read.clock, backend: read.backend, scopes: [read.scope] });
  });

  it('is written as a source, with its header in a variable', async () => {
    const handler: Handler = scripted(ok('[]'));
    const source = 'http-sd+https://sd.prod:8443/all?x=1';
    expect(httpSdOf(source, handler, {}).name).toBe('http-sd+https://sd.prod:8443/all?x=1');
    expect(httpSdOf(`${source}#pay%20ments`, handler, {}).name).toBe(
      'http-sd+https://sd.prod:8443/all?x=1#pay%20ments',
    );
    expect(httpSdOf('http-sd+http://sd/@a?of=@b', handler, {}).name).toBe('http-sd+http://sd/@a?of=@b');
    const backend = scripted(ok('[]'));
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    httpSdOf(source, backend, { HTTP_SD_AUTHORIZATION: 'Bearer x' }).watch(() => {}, scope, { clock });
    await clock.advance(0);
    expect(headerOf(backend.calls[0]?.headers ?? [], 'authorization')).toBe('Bearer x');
    scope.cancel();
    for (const wrong of [`${source}#`, `${source}#%`, 'http-sd+http://', 'http-sd+ftp://a/', 'http-sd://a/']) {
      expect(() => httpSdOf(wrong, handler, {})).toThrow(/options of httpSd: 1 problem/);
    }
  });

  it('refuses options that are wrong, all at once and without secrets', () => {
    const wrong = {
      url: 'http://user:s3cret@a/?token=s3cret',
      handler: 1 as never,
      service: '',
      authorization: 's3cret\n',
      refreshMs: 0,
      maxBytes: 0,
    };
    expect(() => httpSd(wrong)).toThrow(/6 problems/);
    expect(() => httpSd(wrong)).not.toThrow(/s3cret/);
    expect(() => httpSd(wrong)).toThrow('httpSd.url = "http://***@a/?token=***": expected an http or https URL');
    expect(() => httpSd({} as never)).toThrow(/httpSd\.url = null.*\n.*httpSd\.handler = null/);
    expect(() => httpSd({ url, handler: scripted(ok('[]')), refesh: 1 } as never)).toThrow(/httpSd\.refesh: expected/);
    expect(Object.isFrozen(httpSdDefaults)).toBe(true);
  });
});

class Served implements ResolverSource {
  #step: Step = refuse();
  readonly #backend = scripted(() => this.#step);
  readonly resolver: Resolver = httpSd({ url, handler: this.#backend });

  show(origins: readonly string[]): void {
    this.#step = ok(groups(...origins));
  }
  fail(): void {
    this.#step = reply(503, { body: 'away' });
  }
  garble(): void {
    this.#step = ok('[{"targets": ["a:1"]');
  }
  hang(): void {
    this.#step = hang();
  }
  held(): number {
    return this.#backend.waiting + this.#backend.open;
  }
}

describe('the contract of resolvers', () => {
  for (const { name, run } of resolverConformance({ source: () => new Served() })) it(name, run);
});
