// Would catch: baggage that is changed on its way, grows without bound, is cut in the middle of a member, or breaks the
// request that carries it; and values that are decoded wrongly.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { baggageOf, baggageValue, boundBaggage, maxBaggageBytes, maxBaggageMembers } from './baggage.js';

describe('boundBaggage', () => {
  it.each(['a=1', 'a=1;p=2,b=3', 'a = 1 ; p , b = 2', 'a=1,,b=2', 'not even baggage', 'user=Am%C3%A9lie'])(
    'passes on unchanged: %s',
    (value) => {
      expect(boundBaggage(value)).toBe(value);
    },
  );

  it('keeps exactly 64 members and drops those behind', () => {
    const members = Array.from({ length: maxBaggageMembers + 2 }, (_, i) => `k${i}=${i}`);
    const full = members.slice(0, maxBaggageMembers).join(',');
    expect(boundBaggage(full)).toBe(full);
    expect(boundBaggage(members.join(','))).toBe(full);
  });

  it('keeps exactly 8192 bytes, and drops whole members', () => {
    const full = `a=${'x'.repeat(maxBaggageBytes - 2)}`;
    expect(boundBaggage(full)).toBe(full);
    expect(boundBaggage(`${full}x`)).toBeNull();
    expect(boundBaggage(`b=1,${full}`)).toBe('b=1');
  });

  it.each(['', ' ', ',', ' , ,\t', 'a=1\r\nx: y', 'a=\u0000', 'a=\u20ac'])('gives nothing for %j', (value) => {
    expect(boundBaggage(value)).toBeNull();
  });

  it('is within its bounds whatever it is given, and then does not change any more', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 300 }), { maxLength: 100 }), (members) => {
        const bound = boundBaggage(members.join(','));
        if (bound === null) return;
        expect(bound.length).toBeLessThanOrEqual(maxBaggageBytes);
        expect(bound.split(',').filter((m) => m.trim() !== '').length).toBeLessThanOrEqual(maxBaggageMembers);
        expect(boundBaggage(bound)).toBe(bound);
      }),
    );
  });
});

describe('baggageOf', () => {
  it('joins several headers in order', () => {
    expect(baggageOf(['baggage', 'a=1', 'x', 'y', 'baggage', 'b=2'])).toBe('a=1,b=2');
    expect(baggageOf(['x', 'y'])).toBeNull();
  });
});

describe('baggageValue', () => {
  it.each([
    ['a=1,b=2', 'b', '2'],
    ['a=1;p=9,b=2', 'a', '1'],
    [' a \t= 1 ; p , b=2', 'a', '1'],
    ['a=b=c', 'a', 'b=c'],
    ['a=1,a=2', 'a', '1'],
    ['a=', 'a', ''],
    ['user=Am%C3%A9lie', 'user', 'Amélie'],
    ['a=%25%2C%3B', 'a', '%,;'],
    ['a=%C3', 'a', '\ufffd'],
    ['a=x%C3%28%zz%4', 'a', 'x\ufffd(%zz%4'],
  ])('%s at %s is %s', (header, key, value) => {
    expect(baggageValue(header, key)).toBe(value);
  });

  it.each([
    ['a=1', 'b'],
    ['a', 'a'],
    ['a,b=1', 'a'],
    ['aa=1', 'a'],
    ['A=1', 'a'],
    ['x=1;a=2', 'a'],
    ['', ''],
  ])('%s has no %s', (header, key) => {
    expect(baggageValue(header, key)).toBeNull();
  });

  it('finds nothing in no header', () => {
    expect(baggageValue(null, 'a')).toBeNull();
  });

  it('reads back what was encoded, and never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), (value, garbage) => {
        expect(baggageValue(`a=0,key=${encodeURIComponent(value)};p,b=1`, 'key')).toBe(value);
        baggageValue(garbage, 'key');
        baggageValue(`key=${garbage}`, 'key');
      }),
    );
  });
});
