/** Would catch: a generator that is skewed, correlated between neighbouring seeds, or out of range. */
import { describe, expect, it } from 'vitest';
import { Prng } from './prng.js';

describe('Prng', () => {
  it('is even: chi-square over 100 cells stays within five standard deviations', () => {
    const prng = new Prng(42);
    const cells = new Array<number>(100).fill(0);
    for (let i = 0; i < 100_000; i++) {
      const cell = Math.floor(prng.random() * 100);
      cells[cell] = (cells[cell] as number) + 1;
    }
    const chi = cells.reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
    expect(Math.abs(chi - 99)).toBeLessThan(5 * Math.sqrt(2 * 99));
  });

  it('gives unrelated first numbers for neighbouring seeds', () => {
    const first = Array.from({ length: 1000 }, (_, seed) => new Prng(seed).random());
    expect(new Set(first).size).toBe(1000);
    const mean = first.reduce((a, b) => a + b) / first.length;
    const drift = first.slice(1).reduce((sum, x, i) => sum + (x - 0.5) * ((first[i] as number) - 0.5), 0) / 999;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.05);
    expect(Math.abs(drift)).toBeLessThan(0.015);
  });

  it('tells seeds above 2^32 and negative ones apart', () => {
    expect(new Prng(2 ** 40).random()).not.toBe(new Prng(0).random());
    expect(new Prng(-1).random()).not.toBe(new Prng(1).random());
  });

  it('fills bytes with every value', () => {
    const bytes = new Uint8Array(10_000);
    new Prng(1).fill(bytes);
    expect(new Set(bytes).size).toBe(256);
  });
});
