// Would catch: a quota that is misread, a hold that is too short, too long or never ends, a pace that never comes back.
import { createReply } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { PaceRate, quotaOf } from './pace-rate.js';

const WALL = Date.UTC(2026, 0, 1);
const with_ = (headers: Record<string, string>, status = 200) => createReply({ status, headers });

describe('quotaOf', () => {
  it.each([
    [{ ratelimit: '"default";r=50;t=30' }, { remaining: 50, resetMs: 30_000 }],
    [{ ratelimit: '"burst";r=0;t=5, "daily";r=10;t=9999' }, { remaining: 0, resetMs: 5_000 }],
    [{ ratelimit: 'limit=100, remaining=7, reset=12' }, { remaining: 7, resetMs: 12_000 }],
    [
      { 'ratelimit-remaining': '3', 'ratelimit-reset': '4' },
      { remaining: 3, resetMs: 4_000 },
    ],
    [
      { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': '0.5' },
      { remaining: 3, resetMs: 500 },
    ],
    [
      { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': String(WALL / 1_000 + 60) },
      { remaining: 3, resetMs: 60_000 },
    ],
    [
      { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': String(WALL / 1_000 - 60) },
      { remaining: 3, resetMs: 0 },
    ],
    [{ 'x-ratelimit-remaining': '-3', 'x-ratelimit-reset': '5' }, null],
    [{ 'x-ratelimit-remaining': '3' }, null],
    [{ ratelimit: '"default";r=1.5;t=x' }, null],
    [{ ratelimit: '' }, null],
    [{}, null],
  ])('reads %j', (headers, quota) => {
    expect(quotaOf(with_(headers as Record<string, string>), WALL)).toEqual(quota);
  });
});

describe('PaceRate', () => {
  it('holds for as long as a refusal says and halves the pace, once for many refusals of the same moment', () => {
    const rate = new PaceRate(100);
    const refusal = with_({ 'retry-after': '3' }, 429);
    for (let i = 0; i < 10; i++) rate.observe(refusal, 1_000 + i, WALL);
    expect(rate.perSecond).toBe(50);
    expect(rate.holdUntil).toBe(4_009);
  });

  it.each([
    [{}, 429, 1_000],
    [{ ratelimit: '"x";r=0;t=7' }, 429, 7_000],
    [{ 'retry-after': '2' }, 503, 2_000],
    [{ 'retry-after': '86400' }, 429, 300_000],
  ])('after %j with %i holds for %i ms', (headers, status, ms) => {
    const rate = new PaceRate(100);
    expect(rate.observe(with_(headers as Record<string, string>, status), 0, WALL)).toBe(true);
    expect(rate.holdUntil).toBe(ms);
  });

  it('takes a 503 without Retry-After, and a 500, for no news', () => {
    const rate = new PaceRate(100);
    expect([503, 500].map((status) => rate.observe(with_({}, status), 0, WALL))).toEqual([false, false]);
  });

  it('spreads what is left of a quota over the time that is left, never above the pace configured', () => {
    const rate = new PaceRate(100);
    rate.observe(with_({ ratelimit: '"x";r=20;t=10' }), 0, WALL);
    expect(rate.perSecond).toBe(2);
    rate.observe(with_({ ratelimit: '"x";r=100000;t=10' }), 1, WALL);
    expect(rate.perSecond).toBe(100);
    rate.observe(with_({ ratelimit: '"x";r=0;t=10' }), 2, WALL);
    expect(rate.holdUntil).toBe(10_002);
  });

  it('goes no slower than a call in five minutes, whatever the answers say, and not above what is configured', () => {
    const rate = new PaceRate(100);
    rate.observe(with_({ ratelimit: '"x";r=1;t=999999999999' }), 0, WALL);
    expect(rate.perSecond).toBeCloseTo(1 / 300, 9);
    for (let i = 0; i < 50; i++) rate.observe(with_({}, 429), i * 1e6, WALL);
    expect(rate.perSecond).toBeCloseTo(1 / 300, 9);
    const slow = new PaceRate(0.001);
    slow.observe(with_({}, 429), 0, WALL);
    expect(slow.perSecond).toBe(0.001);
  });

  it('comes back after the longest hold, though a refusal asked for a day', () => {
    const rate = new PaceRate(100);
    rate.observe(with_({ 'retry-after': '86400' }, 429), 0, WALL);
    rate.observe(with_({}), 301_000, WALL);
    expect(rate.perSecond).toBe(60);
  });

  it('comes back a tenth per second, and no further than configured', () => {
    const rate = new PaceRate(100);
    rate.observe(with_({ 'retry-after': '1' }, 429), 0, WALL);
    const good = with_({});
    const seen: number[] = [];
    for (let now = 1_000; now <= 9_000; now += 500) {
      rate.observe(good, now, WALL);
      seen.push(rate.perSecond);
    }
    expect(seen).toEqual([50, 50, 60, 60, 70, 70, 80, 80, 90, 90, 100, 100, 100, 100, 100, 100, 100]);
  });
});
