// Would catch: a release of opossum that behaves differently where we lean on it: its window, its buckets, when it decides,
// what it keeps.
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { OpossumEngine } from './opossum-engine.js';

const settings = { errorRatio: 0.5, minCalls: 4, windowMs: 1_000, slowRatio: 1 };

describe('OpossumEngine', () => {
  it('is the version that was read', () => {
    expect(createRequire(import.meta.url)('opossum/package.json').version).toBe('10.0.0');
  });

  it('decides synchronously, with successes that were handed over in bulk', () => {
    const engine = new OpossumEngine(settings);
    engine.turn(0);
    for (let i = 0; i < 3; i++) engine.succeeded(false);
    engine.failed();
    engine.failed();
    expect(engine.counts()).toEqual({ calls: 5, failures: 2, slow: 0 });
    expect(engine.opened).toBe(false);
    engine.failed();
    expect(engine.counts()).toEqual({ calls: 6, failures: 3, slow: 0 });
    expect(engine.opened).toBe(true);
  });

  it('puts successes into the bucket in which they happened', () => {
    const engine = new OpossumEngine(settings);
    engine.turn(0);
    engine.succeeded(false);
    engine.turn(500);
    engine.succeeded(false);
    engine.turn(999);
    expect(engine.counts().calls).toBe(2);
    engine.turn(1_000);
    expect(engine.counts().calls).toBe(1);
    engine.turn(1_500);
    expect(engine.counts().calls).toBe(0);
  });

  it('turns at bucket boundaries, and forgets everything after a long silence', () => {
    const engine = new OpossumEngine(settings);
    engine.turn(7);
    expect(engine.turnAt).toBe(107);
    engine.turn(320);
    expect(engine.turnAt).toBe(407);
    engine.failed();
    engine.turn(1e9);
    expect(engine.counts().calls).toBe(0);
    expect(engine.turnAt).toBe(1e9 + 100);
  });

  it('keeps no latencies: memory does not grow with the traffic', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const engine = new OpossumEngine({ ...settings, minCalls: 1e9 });
    engine.turn(0);
    const run = async (times: number) => {
      for (let i = 0; i < times; i++) {
        engine.failed();
        await null; // opossum's promise is let go of in a microtask
      }
      gc();
      return process.memoryUsage().heapUsed;
    };
    const before = await run(1_000);
    // 8 bytes for each latency would be 160 kB.
    expect((await run(20_000)) - before).toBeLessThan(100_000);
  });
});
