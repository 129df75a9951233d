// Would catch: an answer for somebody else, of another request, longer than allowed or in part; a memory without bounds; a
// body that two readers share; an answer that is changed by being kept; a stale answer that cannot be told from a fresh one.
import { compose, type Reply, type ReplyHeaders, readBytes, readText } from '@fairlead/core';
import {
  callTo,
  checkLeaks,
  recordEvents,
  refuse,
  reply,
  type Script,
  scripted,
  VirtualClock,
} from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FallbackOptions, fallback, type StaleOptions } from './fallback.js';
import { StaleReplies, staleDefaults } from './fallback-stale.js';

const sized = (body: string, headers: ReplyHeaders = {}) =>
  reply(200, { body, headers: { 'content-length': String(body.length), ...headers } as Record<string, string> });

function rig(script: Script, stale: Partial<StaleOptions> = {}, options: Partial<FallbackOptions> = {}) {
  const clock = new VirtualClock();
  const runtime = { clock };
  const events = recordEvents(runtime);
  // The last step of a list goes on for ever.
  const backend = scripted(Array.isArray(script) ? (_, n) => script[Math.min(n, script.length) - 1] : script);
  const handler = compose([fallback({ stale, ...options })], backend);
  const ask = (init: Parameters<typeof callTo>[1] = {}): Promise<Reply> =>
    clock.run(handler(callTo('prices', { ...init, runtime })));
  const textOf = async (init: Parameters<typeof callTo>[1] = {}): Promise<string> =>
    clock.run(readText(await ask(init)));
  return { clock, events, backend, ask, textOf };
}

describe('fallback to a stale answer', () => {
  it('gives the last good one, with its age, and says so', async () => {
    const { clock, events, backend, ask, textOf } = rig([
      sized('one', { etag: '"1"', age: '7' }),
      sized('two', { etag: '"2"', age: '7' }),
      refuse(),
    ]);
    await textOf();
    await clock.advance(1_000);
    await textOf();
    await clock.advance(61_500);
    const stale = await ask();
    expect([stale.status, stale.headers.etag, stale.headers.age, stale.headers.warning]).toEqual([
      200,
      '"2"',
      '68',
      undefined,
    ]);
    expect([stale.insteadOf, stale.at, stale.endpoint]).toEqual(['transport', clock.now(), null]);
    expect(await readText(stale)).toBe('two');
    expect(events).toMatchObject([{ type: 'fallback.used', service: 'prices', reason: 'transport', from: 'stale' }]);
    checkLeaks({ clock, backend });
  });

  it('hands the answer on as it comes, piece by piece, paused and resumed', async () => {
    const { backend, ask, textOf } = rig([
      reply(200, { body: ['ab', 'cd'], headers: { 'content-length': '4' } }),
      refuse(),
    ]);
    const fresh = await ask();
    const got: string[] = [];
    fresh.body.attach({
      onData(chunk) {
        got.push(new TextDecoder().decode(chunk));
        fresh.body.pause();
      },
      onEnd: () => got.push('end'),
      onError: () => got.push('error'),
    });
    expect(() => fresh.body.attach({ onData() {}, onEnd() {}, onError() {} })).toThrow(TypeError);
    expect(got).toEqual(['ab']);
    fresh.body.resume();
    fresh.body.resume();
    expect(got).toEqual(['ab', 'cd', 'end']);
    expect(await textOf()).toBe('abcd');
    checkLeaks({ backend });
  });

  it('keeps nothing that was not read to its end, or lied about its length', async () => {
    const scripts: Script[] = [
      [reply(200, { body: ['ab', 'cd'], headers: { 'content-length': '4' }, stallAfter: 1 }), refuse()],
      [reply(200, { body: 'abc', headers: { 'content-length': '4' } }), refuse()],
      [reply(200, { body: 'abcde', headers: { 'content-length': '4' } }), refuse()],
    ];
    for (const script of scripts) {
      const { ask, textOf } = rig(script);
      const fresh = await ask();
      const text = readText(fresh);
      text.catch(() => {});
      fresh.body.cancel();
      await text.catch(() => {});
      await expect(textOf()).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    }
  });

  const kept = async (script: Script, stale: Partial<StaleOptions> = {}, init: Parameters<typeof callTo>[1] = {}) => {
    const { textOf } = rig(script, stale);
    await textOf(init);
    return textOf(init).then(
      () => true,
      () => false,
    );
  };

  it.each<[boolean, string, ReplyHeaders]>([
    [true, 'says nothing', {}],
    [true, 'may be kept', { 'cache-control': 'public, max-age=60, stale-if-error=600' }],
    [false, 'must not be stored', { 'cache-control': 'no-store' }],
    [false, 'must be asked for again', { 'cache-control': 'max-age=5, No-Cache' }],
    [false, 'is private', { 'cache-control': 'private="x", max-age=1' }],
    [false, 'must not be used stale', { 'cache-control': 'must-revalidate' }],
    [false, 'must not be used stale by proxies', { 'cache-control': 'proxy-revalidate' }],
    [false, 'must not be used stale at all', { 'cache-control': 'max-age=0, stale-if-error=0' }],
    [false, 'sets a cookie', { 'set-cookie': 'a=1' }],
    [false, 'depends on everything', { vary: '*' }],
    [false, 'does not say how long it is', { 'content-length': 'x' }],
    [false, 'is too long', { 'content-length': '99999' }],
  ])('keeps (%s) what %s', async (yes, _, headers) => {
    expect(await kept([sized('x', headers), refuse()])).toBe(yes);
  });

  it.each<[boolean, string, Parameters<typeof callTo>[1]]>([
    [true, 'HEAD', { method: 'HEAD' }],
    [false, 'POST', { method: 'POST', headers: ['idempotency-key', 'k'] }],
    [false, 'GET with a body', { body: 'x' }],
    [false, 'Authorization', { headers: ['authorization', 'Bearer x'] }],
    [false, 'Cookie', { headers: ['cookie', 'a=1'] }],
    [false, 'no-store', { headers: ['cache-control', 'no-store'] }],
  ])('keeps (%s) answers to %s', async (yes, _, init) => {
    expect(await kept([init?.method === 'HEAD' ? reply(200) : sized('x'), refuse()], {}, init)).toBe(yes);
  });

  it('keeps a good answer only, of a service that answers badly', async () => {
    const { textOf } = rig([sized('good'), sized('x', {}), reply(404, { body: 'no' }), refuse()], {}, {});
    expect([await textOf(), await textOf({ path: '/other' }), await textOf({ path: '/gone' })]).toEqual([
      'good',
      'x',
      'no',
    ]);
    expect(await textOf()).toBe('good');
    await expect(textOf({ path: '/gone' })).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
  });

  it('stands in for bad answers, which are let go of', async () => {
    const bad = reply(503, { body: ['x', 'y'], stallAfter: 1 });
    const { backend, textOf, clock } = rig([sized('good'), bad, bad], {}, { fromStatus: 500, to: { body: 'last' } });
    await textOf();
    expect([await textOf(), await textOf({ path: '/other' })]).toEqual(['good', 'last']);
    checkLeaks({ backend, clock });
  });

  it('tells callers apart by their choice, and does not keep what that says', async () => {
    const key = (call: { headers: readonly string[] }) => call.headers[1] ?? null;
    const who = (name: string) => ({ headers: ['authorization', name] });
    const { textOf } = rig([sized('of a'), sized('of b'), sized('of nobody'), refuse()], { key });
    for (const init of [who('a'), who('b'), {}]) await textOf(init);
    expect([await textOf(who('b')), await textOf(who('a'))]).toEqual(['of b', 'of a']);
    await expect(textOf(who('c'))).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    await expect(textOf()).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
  });

  it('does not give one language for another', async () => {
    const speaks = (language: string) => ({ headers: ['accept-language', language] });
    const { textOf } = rig([sized('Tag', { vary: 'Accept-Encoding, Accept-Language' }), refuse()]);
    await textOf(speaks('de'));
    await expect(textOf(speaks('en'))).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    expect(await textOf(speaks('de'))).toBe('Tag');
  });

  it('forgets after maxAgeMs, or after what the answer allows', async () => {
    const { clock, textOf } = rig(
      [sized('x'), sized('y', { 'cache-control': 'max-age=10, stale-if-error=20' }), refuse()],
      {
        maxAgeMs: 60_000,
      },
    );
    await textOf();
    await textOf({ path: '/y' });
    await clock.advance(29_999);
    expect(await textOf({ path: '/y' })).toBe('y');
    await clock.advance(1);
    await expect(textOf({ path: '/y' })).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    await clock.advance(29_999);
    expect(await textOf()).toBe('x');
    await clock.advance(1);
    await expect(textOf()).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
  });

  it('gives each reader bytes of his own', async () => {
    const { textOf, ask } = rig([sized('abc'), refuse()]);
    (await readBytes(await ask())).fill(0);
    expect(await textOf()).toBe('abc');
    (await readBytes(await ask())).fill(0);
    expect(await textOf()).toBe('abc');
  });

  it('lets the longest unused go first', async () => {
    const { textOf } = rig((call, n) => (n <= 4 ? sized(call.path) : refuse()), { maxEntries: 3 });
    for (const path of ['/a', '/b', '/c']) await textOf({ path });
    const stale = rig([sized('/a'), sized('/b'), refuse(), sized('/c'), refuse()], { maxEntries: 2 });
    await stale.textOf({ path: '/a' });
    await stale.textOf({ path: '/b' });
    expect(await stale.textOf({ path: '/a' })).toBe('/a');
    await stale.textOf({ path: '/c' });
    expect(await stale.textOf({ path: '/a' })).toBe('/a');
    await expect(stale.textOf({ path: '/b' })).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
  });

  it('counts an answer once, however often it is given, and lets no giant push the others out', async () => {
    const giant = sized('x'.repeat(500));
    const script: Script = (call, n) => (call.path === '/giant' ? giant : n > 102 ? refuse() : sized(call.path));
    const { textOf } = rig(script, { maxBytes: 300 });
    await textOf({ path: '/b' });
    for (let i = 0; i < 100; i++) await textOf({ path: '/a' });
    await textOf({ path: '/giant' });
    expect([await textOf({ path: '/a' }), await textOf({ path: '/b' })]).toEqual(['/a', '/b']);
  });

  it('stays within its bounds, whatever comes', async () => {
    const each = fc.record({ path: fc.nat(30), length: fc.nat(60), after: fc.nat(400) });
    await fc.assert(
      fc.asyncProperty(fc.array(each, { maxLength: 60 }), async (answers) => {
        const clock = new VirtualClock();
        const bounds = { maxEntries: 10, maxBytes: 600, maxBodyBytes: 50, maxAgeMs: 1_000 };
        const subject = new StaleReplies({ ...staleDefaults, ...bounds });
        const last = new Map<string, { at: number; length: number }>();
        for (const { path, length, after } of answers) {
          await clock.advance(after);
          const call = callTo('s', { clock, path: `/${path}` });
          const got = await clock.run(scripted(sized('x'.repeat(length)))(call));
          await readBytes(subject.keep(call, got));
          if (length <= 50) last.set(call.path, { at: clock.now(), length });
          expect(subject.size).toBeLessThanOrEqual(10);
          expect(subject.bytes).toBeLessThanOrEqual(600);
          for (const [known, { at, length: expected }] of last) {
            const found = subject.find(callTo('s', { clock, path: known }), clock.now());
            if (found === null) continue;
            expect(clock.now() - at).toBeLessThan(1_000);
            expect((await readBytes(found)).length).toBe(expected);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});
