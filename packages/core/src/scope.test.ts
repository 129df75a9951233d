/**
 * Would catch: a cancellation that misses a child or a watcher, or tells one twice or too late; a timer, child or watcher
 * left behind; a scope that grows dear with many children.
 */
import { VirtualClock } from '@fairlead/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CanceledError } from './errors.js';
import { createReply } from './reply.js';
import { Scope, type ScopeWatcher } from './scope.js';

const clock = new VirtualClock();
const root = (): Scope => new Scope(clock);
const watcher = (onCancel: (reason: unknown) => void): ScopeWatcher => ({ onCancel });

describe('cancel', () => {
  it('reaches everything below, children before their parent, each once, with the same reason', () => {
    const top = root();
    const middle = top.child();
    const leaf = middle.child();
    const log: string[] = [];
    const reason = new Error('enough');
    for (const [name, scope] of Object.entries({ top, middle, leaf })) {
      scope.watch(watcher((why) => log.push(`${name} ${why === reason}`)));
    }
    top.cancel(reason);
    top.cancel(new Error('again'));
    middle.cancel();
    expect(log).toEqual(['leaf true', 'middle true', 'top true']);
    expect([top.reason, middle.reason, leaf.reason]).toEqual([reason, reason, reason]);
    expect([top, middle, leaf].some((scope) => scope.busy)).toBe(false);
  });

  it('leaves what is above and beside alone', () => {
    const top = root();
    const [one, two, three] = [top.child(), top.child(), top.child()];
    two.cancel();
    expect([top.canceled, one.canceled, three.canceled]).toEqual([false, false, false]);
    expect(two.reason).toBeInstanceOf(CanceledError);
    top.cancel();
    expect([one.canceled, three.canceled]).toEqual([true, true]);
  });

  it('reaches a child that is made during it, and none that is closed during it', () => {
    const top = root();
    const doomed = top.child();
    const noticed: unknown[] = [];
    doomed.watch(watcher(() => noticed.push('doomed')));
    const first = top.child();
    let born: Scope | null = null;
    first.watch(
      watcher(() => {
        doomed.close();
        born = top.child();
      }),
    );
    top.cancel('why');
    expect(noticed).toEqual([]);
    expect(doomed.canceled).toBe(false);
    expect(born).toMatchObject({ canceled: true, reason: 'why' });
  });

  it('tells no watcher that another one has taken back', () => {
    const scope = root();
    const log: string[] = [];
    const third = watcher(() => log.push('third'));
    scope.watch(watcher(() => log.push('first')));
    scope.watch(
      watcher(() => {
        log.push('second');
        scope.unwatch(third);
      }),
    );
    scope.watch(third);
    scope.watch(watcher(() => log.push('fourth')));
    scope.cancel();
    expect(log).toEqual(['first', 'second', 'fourth']);
  });

  it('tells a late watcher at once, and a child that comes late is canceled from birth', () => {
    const scope = root();
    scope.cancel('why');
    const seen: unknown[] = [];
    scope.watch(watcher((reason) => seen.push(reason)));
    const late = scope.child();
    expect(seen).toEqual(['why']);
    expect([late.canceled, late.reason]).toEqual([true, 'why']);
    expect(() => late.throwIfExpired()).toThrow('why');
  });

  it('tells nobody who has taken back the watching', () => {
    const scope = root();
    const seen: number[] = [];
    const all = [1, 2, 3].map((n) => watcher(() => seen.push(n)));
    for (const each of all) scope.watch(each);
    scope.unwatch(all[0] as ScopeWatcher);
    scope.unwatch(all[2] as ScopeWatcher);
    scope.cancel();
    expect(seen).toEqual([2]);
  });

  it('reaches exactly what hangs below, in any tree and after any closing', () => {
    const step = fc.record({ what: fc.constantFrom('child', 'child', 'close', 'cancel'), at: fc.nat(999) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const scopes = [root()];
        const model: { parent: number; canceled: boolean; closed: boolean; told: number }[] = [
          { parent: -1, canceled: false, closed: false, told: 0 },
        ];
        const cancel = (at: number): void => {
          const node = model[at] as (typeof model)[0];
          if (node.canceled || node.closed) return;
          node.canceled = true;
          model.forEach((each, i) => {
            if (each.parent === at) cancel(i);
          });
        };
        const told: number[] = [0];
        scopes[0]?.watch(watcher(() => (told[0] = (told[0] as number) + 1)));
        for (const { what, at } of steps) {
          const index = at % scopes.length;
          const [scope, node] = [scopes[index] as Scope, model[index] as (typeof model)[0]];
          if (what === 'child') {
            const id = scopes.push(scope.child()) - 1;
            // A child of a closed scope hangs on nothing.
            model.push({ parent: node.closed ? -1 : index, canceled: node.canceled, closed: false, told: 0 });
            told[id] = node.canceled ? 1 : 0;
            if (!node.canceled) scopes[id]?.watch(watcher(() => (told[id] = (told[id] as number) + 1)));
          } else if (what === 'close') {
            scope.close();
            node.closed = true;
            model.forEach((each) => {
              if (each.parent === index) each.parent = -1;
            });
          } else {
            scope.cancel();
            cancel(index);
          }
          expect(scopes.map((each) => each.canceled)).toEqual(model.map((each) => each.canceled));
          expect(told).toEqual(model.map((each) => (each.canceled ? 1 : 0)));
        }
      }),
    );
  });
});

describe('close', () => {
  it('lets go of everything, and cancels nothing', async () => {
    const top = root();
    const scope = top.child();
    const below = scope.child();
    scope.expireAt(clock.now() + 10, 'call', 10);
    scope.watch(watcher(() => expect.fail('told after the end')));
    scope.close();
    scope.close();
    await clock.advance(20);
    top.cancel();
    expect([scope.canceled, below.canceled, top.busy, scope.busy, clock.pending]).toEqual([
      false,
      false,
      false,
      false,
      0,
    ]);
    scope.watch(watcher(() => expect.fail('told after the end')));
    scope.expireAt(clock.now() + 10, 'call', 10);
    below.close();
    expect([scope.busy, clock.pending]).toEqual([false, 0]);
  });

  it('is what a reply does to the scope that waits for its end', () => {
    const parent = new Scope(new VirtualClock());
    const scope = parent.child();
    createReply().onEnd(scope);
    expect([parent.busy, scope.canceled]).toEqual([false, false]);
  });

  it('takes a child off in constant time, wherever it stands', () => {
    // Quadratic work would be 5 * 10^9 steps here, and the test would time out.
    const top = root();
    const children = Array.from({ length: 100_000 }, () => top.child());
    for (const child of children) child.close();
    expect(top.busy).toBe(false);
    for (const child of children.map(() => top.child()).reverse()) child.close();
    expect(top.busy).toBe(false);
  });

  it('knows what still hangs on it', () => {
    const scope = root();
    expect(scope.busy).toBe(false);
    const child = scope.child();
    expect(scope.busy).toBe(true);
    child.close();
    const [one, two] = [watcher(() => {}), watcher(() => {})];
    scope.watch(one);
    scope.watch(two);
    scope.unwatch(one);
    expect(scope.busy).toBe(true);
    scope.unwatch(two);
    expect(scope.busy).toBe(false);
    scope.expireAt(clock.now() + 10, 'call', 10);
    expect(scope.busy).toBe(true);
    scope.close();
    expect(scope.busy).toBe(false);
  });
});
