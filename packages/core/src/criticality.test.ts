/** Would catch a class that is misread, lost on the way to the calls it is meant for, or taken from somebody else's request. */
import { VirtualClock } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { criticalityRank, inheritedCriticality, Scope } from './index.js';

describe('criticalityRank', () => {
  it.each([
    ['critical-plus', 0],
    ['critical', 1],
    [' SHEDDABLE_PLUS ', 2],
    ['Sheddable', 3],
    ['', undefined],
    ['critical-plus-plus', undefined],
    ['0', undefined],
  ])('of %j is %j', (text, rank) => {
    expect(criticalityRank(text)).toBe(rank);
  });
});

describe('inheritedCriticality', () => {
  it('is that of the nearest scope that has one', () => {
    const root = new Scope(new VirtualClock());
    const request = root.child();
    request.criticality = 'sheddable';
    expect([root, request, request.child().child()].map(inheritedCriticality)).toEqual([
      undefined,
      'sheddable',
      'sheddable',
    ]);
  });
});
