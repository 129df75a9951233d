/**
 * Would catch a process that is killed because it is busy or on its way out, gets traffic it cannot serve, or falls over
 * because of its own health checks.
 */
import { ConfigError, type Middleware, rejected } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { adapters, ask, gateway, start, stopServers } from '../tests/harness.js';
import { createDrain, createGuard, type Drain, type HealthOptions, healthRoutes } from './index.js';

const drains: Drain[] = [];

afterEach(async () => {
  for (const drain of drains.splice(0)) drain.abort();
  await stopServers();
});

describe.each(adapters)('health under %s', (adapter) => {
  async function serve(options?: Partial<HealthOptions>) {
    const clock = new VirtualClock();
    const drain = createDrain({ signals: [], delayMs: 1_000, runtime: { clock } });
    drains.push(drain);
    let counted = 0;
    const layers: Middleware[] = [
      (call) => {
        counted++;
        return Promise.reject(rejected('concurrency', call.service, 'full'));
      },
    ];
    const guard = createGuard({ drain, health: healthRoutes({ runtime: { clock }, ...options }), layers });
    const { port } = await start(adapter, guard, (_req, res) => res.end());
    const probe = async (path: string, method = 'GET') => {
      const { status, body, headers } = await ask(port, { path, method });
      return { status, body, cache: headers['cache-control'] };
    };
    return { clock, drain, probe, counted: () => counted };
  }

  it('answers before anything else and counts towards nothing', async () => {
    const { probe, counted } = await serve();
    expect(await probe('/livez')).toEqual({ status: 200, body: '{"status":"ok"}', cache: 'no-store' });
    expect(await probe('/readyz?verbose')).toMatchObject({ status: 200 });
    expect(await probe('/readyz', 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect(counted()).toBe(0);
    for (const path of ['/readyzz', '/readyz/x', '/', '/startupz']) expect((await probe(path)).status).toBe(503);
    expect((await probe('/readyz', 'POST')).status).toBe(503);
    expect(counted()).toBe(5);
  });

  it('is not ready but alive while it drains', async () => {
    const { probe, drain } = await serve({ readiness: { path: '/ready', checks: { ok: () => true } } });
    expect((await probe('/ready')).status).toBe(200);
    void drain.start();
    expect(await probe('/ready')).toMatchObject({ status: 503, body: '{"status":"draining"}' });
    expect(await probe('/livez')).toMatchObject({ status: 200, body: '{"status":"ok"}' });
  });

  it('names the checks that failed, whichever way, and nothing more', async () => {
    const checks = {
      fine: () => {},
      fineLater: async () => true,
      no: () => false,
      noLater: async () => false,
      throws: () => {
        throw new Error('password=hunter2');
      },
      rejected: () => Promise.reject(new Error('password=hunter2')),
    };
    const { probe } = await serve({ readiness: { path: '/readyz', checks } });
    expect(await probe('/readyz')).toMatchObject({
      status: 503,
      body: '{"status":"failing","failing":["no","noLater","throws","rejected"]}',
    });
    expect((await probe('/livez')).status).toBe(200);
  });

  it('gives a slow check so long, and does not run it twice at a time', async () => {
    const started = gateway();
    let runs = 0;
    const database = () => {
      runs++;
      started.open();
      return new Promise(() => {});
    };
    const { probe, clock } = await serve({ readiness: { path: '/readyz', checks: { database } }, timeoutMs: 700 });
    const first = probe('/readyz');
    await started.opened;
    await clock.advance(699);
    const second = probe('/readyz');
    // The second request is there once one that was sent after it has been answered.
    await probe('/livez');
    await probe('/livez');
    await clock.advance(1);
    expect(await Promise.all([first, second])).toMatchObject([{ status: 503 }, { status: 503 }]);
    expect(runs).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('asks once more and more whether it has started, until it has', async () => {
    let runs = 0;
    const { probe } = await serve({ startup: { path: '/startupz', checks: { warm: () => ++runs >= 2 } } });
    expect((await probe('/startupz')).status).toBe(503);
    expect((await probe('/startupz')).status).toBe(200);
    expect((await probe('/startupz')).status).toBe(200);
    expect(runs).toBe(2);
  });

  it('can leave a probe out', async () => {
    const { probe } = await serve({ liveness: null });
    expect((await probe('/livez')).body).toContain('temporary-reduced-capacity');
  });
});

describe('options of health', () => {
  it.each([
    [{ readiness: 'readyz' }],
    [{ liveness: '/livez?x' }],
    [{ startup: { path: '/s', checks: { warm: true } } }],
    [{ startup: { path: '/s', check: {} } }],
    [{ startup: {} }],
    [{ timeoutMs: 0 }],
    [{ ready: '/r' }],
  ])('%j is wrong', (options) => {
    expect(() => healthRoutes(options as never)).toThrow(ConfigError);
  });
});
