// Would catch: hedges that go on where they lose, a price of finding out that does not go to zero, an account that bad luck
// uses up or that is never used again, and one that does not hear when the service asks for less.
import { describe, expect, it } from 'vitest';
import { HedgeCredit } from './hedge-credit.js';

/** Makes `calls` calls, and sends the hedges that are allowed. */
function send(credit: HedgeCredit, calls: number, wins: (n: number) => boolean): number {
  let sent = 0;
  for (let i = 0; i < calls; i++) {
    credit.called();
    if (!credit.enough) continue;
    if (wins(sent++)) credit.won();
    else credit.lost();
  }
  return sent;
}

describe('HedgeCredit', () => {
  it('stops after four losses, and asks after 1,000 calls, after 2,000 more, after 4,000 more, up to 128,000', () => {
    const credit = new HedgeCredit(0.6);
    const at: number[] = [];
    for (let i = 1; i <= 520_000; i++) {
      credit.called();
      if (!credit.enough) continue;
      at.push(i);
      credit.lost();
    }
    const pauses = at.slice(4).map((each, i) => each - (at[i + 3] as number));
    expect(at.slice(0, 4)).toEqual([1, 2, 3, 4]);
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 128_000, 128_000]);
  });

  it('goes on where enough win, and where they win again begins with short pauses', () => {
    const credit = new HedgeCredit(0.6);
    expect(send(credit, 10_000, (n) => n % 10 < 7)).toBe(10_000);
    send(credit, 100_000, () => false);
    send(credit, 128_000, () => true);
    expect(send(credit, 1_000, () => true)).toBe(1_000);
    // The most that is saved up are twenty losses; then the first pauses again.
    expect(send(credit, 1_000, () => false)).toBe(20);
    expect(send(credit, 1_000, () => false)).toBe(1);
  });

  it('counts losses of hedges that were out when it was used up as one', () => {
    const credit = new HedgeCredit(0.6);
    for (let i = 0; i < 30; i++) credit.lost();
    expect(send(credit, 999, () => false)).toBe(0);
    expect(send(credit, 1, () => false)).toBe(1);
  });

  it('is never used up with a minimum of 0', () => {
    expect(send(new HedgeCredit(0), 1_000, () => false)).toBe(1_000);
  });

  it('rests for 1,000 calls when the service asks for less, whatever is on it, and shortens no longer rest', () => {
    const credit = new HedgeCredit(0);
    credit.pushedBack();
    expect(send(credit, 999, () => true)).toBe(0);
    expect(send(credit, 1, () => true)).toBe(1);
    const used = new HedgeCredit(0.6);
    send(used, 10_000, () => false);
    const rest = (): number => {
      let n = 0;
      for (; !used.enough; n++) used.called();
      return n;
    };
    used.pushedBack();
    expect(rest()).toBeGreaterThan(4_000);
  });
});
