// Catches: calls that do not end in time, answers that are delivered twice or to somebody else, timers, load, scopes and
// listeners that are left behind, and retries that do not save what could be saved, while everything goes wrong at once. The
// simulation is that of `npm run bench -- chaos`, which runs it for longer; here, faults come thirty times as often.
import { describe, expect, it } from 'vitest';
import { simulate } from '../../../benchmarks/chaos/simulation.ts';
import { createClientOver } from './client.js';

describe('twenty services that fail in every way', () => {
  it.each([1, 2])(
    'end every call in time, deliver no answer twice, and leave nothing (seed %i)',
    async (seed) => {
      const makeClient = (init: object, network: Parameters<typeof createClientOver>[0]) =>
        createClientOver(network, init);
      const report = await simulate({ seed, ms: 30_000, quietMs: 10_000, makeClient });
      expect(report.complaints).toEqual([]);
      expect(report.calls).toBeGreaterThan(5_000);
      // Failures of all kinds are met, or nothing was tested.
      for (const kind of ['good', 'caller lost interest', 'ERR_TIMEOUT', 'ERR_TRANSPORT in phase wait']) {
        expect(report.endings[kind] ?? 0, kind).toBeGreaterThan(0);
      }
      expect(report.attempts).toBeGreaterThan(report.calls);
    },
    30_000,
  );

  it('fail hardly a call that could have been saved, where faults are as rare as they are', async () => {
    const makeClient = (init: object, network: Parameters<typeof createClientOver>[0]) =>
      createClientOver(network, init);
    const { calls, missed, complaints } = await simulate({ seed: 5, ms: 30_000, quietMs: 300_000, makeClient });
    expect(complaints).toEqual([]);
    expect(missed / calls).toBeLessThan(0.002);
  }, 30_000);
});
