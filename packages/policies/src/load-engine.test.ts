// Would catch: an engine that is loaded by everybody who imports this package, used or not; an engine that is missing and is
// found out about by a call; a fault of an engine that is taken for its absence.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { breaker, pace } from './index.js';
import { load } from './load-engine.js';

const { cache } = createRequire(import.meta.url);
const loaded = (name: string): boolean => Object.keys(cache).some((file) => file.includes(`/node_modules/${name}/`));

describe('the engines of others', () => {
  it('are loaded when a layer is made that has them, and not before', () => {
    const seen: boolean[][] = [];
    const look = () => seen.push(['bottleneck', 'opossum'].map(loaded));
    look();
    breaker();
    pace({ mode: 'off' });
    pace({ mode: 'shadow' });
    look();
    breaker({ engine: 'opossum' });
    look();
    pace();
    look();
    expect(seen).toEqual([
      [false, false],
      [false, false],
      [false, true],
      [true, true],
    ]);
  });

  it('that are missing are a matter of configuration', () => {
    expect(() => load('no-such-engine', 'breaker.engine')).toThrow(ConfigError);
    expect(() => load('no-such-engine', 'breaker.engine')).toThrow('no-such-engine to be installed');
  });

  it('that break while they are loaded say so themselves', () => {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-engine-'));
    try {
      const file = join(folder, 'broken.cjs');
      writeFileSync(file, 'throw new RangeError("broken")');
      expect(() => load(file, 'x')).toThrow(RangeError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
