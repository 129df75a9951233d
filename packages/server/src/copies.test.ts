/**
 * Would catch two installed versions of this package, one inside the other's guard, that break each other's answers: by a
 * look at private fields, by heads that are written twice, or by a deadline or a client's leaving that only one hears of.
 */
import * as core from '@fairlead/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ask, gateway, recorder, start, stopServers, type TestHandler, Wire } from '../tests/harness.js';
import * as own from './index.js';

type Package = typeof own;

afterEach(stopServers);

/** Another copy of this package, and the core that it is over: one of its own, as of two major versions, or the same. */
async function copy(coreIs: 'shared' | 'its own'): Promise<{ other: Package; below: typeof core }> {
  vi.resetModules();
  if (coreIs === 'shared') vi.doMock('@fairlead/core', () => core);
  try {
    return { other: await import('./index.js'), below: await import('@fairlead/core') };
  } finally {
    vi.doUnmock('@fairlead/core');
  }
}

const unlimited = { limiter: { perSecond: 5, burst: 9, take: () => verdict }, key: () => 'all' };
const verdict = { allowed: true, limit: 9, remaining: 8, resetMs: 1_000, retryAfterMs: 0 };

describe.each(['shared', 'its own'] as const)('two copies, where the core is %s', (coreIs) => {
  it('are two', async () => {
    const { other, below } = await copy(coreIs);
    expect(other.createGuard).not.toBe(own.createGuard);
    expect(below.Scope === core.Scope).toBe(coreIs === 'shared');
  });

  /** Guards of both, the first one outermost, around `handler`. */
  async function nested(order: readonly ('own' | 'other')[], handler: TestHandler) {
    const { other } = await copy(coreIs);
    const guards = order.map((which) => {
      const { createGuard, rateLimit } = which === 'own' ? own : other;
      const seen = recorder();
      return { seen, guard: createGuard({ service: which, layers: [seen.layer, rateLimit(unlimited)] }) };
    });
    const [first, ...inner] = guards;
    const listener = inner.reduceRight((inside, { guard }) => guard.node(inside), handler);
    const { port } = await start('node', (first as (typeof guards)[0]).guard, listener);
    return { other, port, seen: guards.map((each) => each.seen) };
  }

  it.each([
    [['own', 'other']],
    [['other', 'own']],
    [['own', 'other', 'own']],
    [['other', 'own', 'own', 'other']],
  ] as const)('%j answer once, and tell all of their layers', async (order) => {
    let runs = 0;
    const { other, port, seen } = await nested(order, (request, response) => {
      runs++;
      const names = [own, other].map((each) => each.callOf(request)?.service);
      response.writeHead(201, { 'x-innermost': names.join() });
      response.end('once');
    });
    const { status, body, headers } = await ask(port);
    const last = order.at(-1);
    expect({ status, body, runs }).toEqual({ status: 201, body: 'once', runs: 1 });
    expect(headers['x-innermost']).toBe(`${last},${last}`);
    // A member for each guard, as with one copy.
    expect(String(headers.ratelimit).match(/;r=8/g)).toHaveLength(order.length);
    for (const each of seen) {
      expect(each.replies.map((reply) => reply.status)).toEqual([201]);
      expect(await Promise.all(each.ends)).toEqual([null]);
    }
  });

  it.each([[['own', 'other']], [['other', 'own']], [['own', 'other', 'own']]] as const)(
    '%j hear of a client that leaves',
    async (order) => {
      const left = gateway();
      const entered = gateway();
      const { other, port, seen } = await nested(order, (request) => {
        const signals = [own, other].map((each) => each.signalOf(request) as AbortSignal);
        expect(signals[0]).toBe(signals[1]);
        signals[0]?.addEventListener('abort', () => left.open());
        entered.open();
      });
      expect(other).not.toBe(own);
      const wire = await Wire.open(port);
      wire.get('/');
      await entered.opened;
      wire.socket.destroy();
      await left.opened;
      await vi.waitFor(() => {
        for (const each of seen) expect(each.errors).toMatchObject([{ code: 'ERR_CANCELED' }]);
      });
    },
  );

  it('the inner one has no more time than the outer one', async () => {
    const { other } = await copy(coreIs);
    const left: number[] = [];
    const inside = own.createGuard().node((request, response) => {
      left.push(own.callOf(request)?.scope.remainingMs() as number);
      own.signalOf(request)?.addEventListener('abort', () => response.end('late'));
    });
    const { port } = await start('node', other.createGuard({ maxTimeoutMs: 50 }), inside);
    expect((await ask(port)).body).toBe('late');
    expect(left[0]).toBeLessThanOrEqual(50);
  });

  it('a limit of the one serves in the guard of the other', async () => {
    const { other } = await copy(coreIs);
    const guard = own.createGuard({ layers: [other.rateLimit(unlimited)], onError: () => {} });
    const { port } = await start('node', guard, (_request, response) => response.end('let in'));
    const { body, headers } = await ask(port);
    expect(body).toBe('let in');
    expect(headers.ratelimit).toContain(';r=8');
  });
});
