// Would catch: ids that repeat at the seam of two batches, are all zero, have the wrong form, or differ between two runs of
// the same virtual clock.
import { systemClock } from '@fairlead/core';
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { IdSource, idsOf } from './ids.js';

describe('IdSource', () => {
  it('makes ids of the right form that do not repeat over many batches', () => {
    const ids = new IdSource(systemClock);
    const seen = new Set<string>();
    for (let i = 0; i < 2000; i++) {
      const trace = ids.traceId();
      const span = ids.spanId();
      expect(trace).toMatch(/^[0-9a-f]{32}$/);
      expect(span).toMatch(/^[0-9a-f]{16}$/);
      // Halves of a trace id are compared with span ids too: they come out of the same batch.
      for (const each of [trace.slice(0, 16), trace.slice(16), span]) {
        expect(seen.has(each)).toBe(false);
        seen.add(each);
      }
    }
  });

  it('never makes an id of zeros, though chance may', () => {
    const clock = new VirtualClock();
    clock.randomFill = (bytes) => bytes.fill(0);
    const ids = new IdSource(clock);
    for (let i = 0; i < 600; i++) {
      expect(ids.traceId()).toMatch(/[^0]/);
      expect(ids.spanId()).toMatch(/[^0]/);
    }
  });

  it('repeats itself with the seed', () => {
    const first = idsOf(new VirtualClock({ seed: 7 }));
    const same = idsOf(new VirtualClock({ seed: 7 }));
    const other = idsOf(new VirtualClock({ seed: 8 }));
    expect(first.traceId()).toBe(same.traceId());
    expect(first.spanId()).toBe(same.spanId());
    expect(first.traceId()).not.toBe(other.traceId());
  });
});

describe('idsOf', () => {
  it('is one source for a clock, also after another one was asked for', () => {
    const a = new VirtualClock();
    const source = idsOf(a);
    expect(idsOf(new VirtualClock())).not.toBe(source);
    expect(idsOf(a)).toBe(source);
  });
});
