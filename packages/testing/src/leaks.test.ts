/** Would catch: a leak check that finds nothing, or that does not say what it found. */
import { createServer } from 'node:net';
import { later, Scope } from '@fairlead/core';
import { describe, expect, it } from 'vitest';
import { callTo } from './call-to.js';
import { checkLeaks, countResources } from './leaks.js';
import { scripted } from './scripted.js';
import { hang, reply } from './steps.js';
import { VirtualClock } from './virtual-clock.js';

describe('checkLeaks', () => {
  it('finds nothing where nothing is', () => {
    const clock = new VirtualClock();
    checkLeaks({});
    checkLeaks({ clock, backend: scripted([]), scopes: [new Scope(clock)], signals: [new AbortController().signal] });
  });

  it('names everything that was left behind', async () => {
    const clock = new VirtualClock();
    const backend = scripted([hang(), reply(200, { body: 'a' })]);
    const scope = new Scope(clock);
    const { signal } = new AbortController();
    scope.follow(signal);
    later(clock, 5, () => {}, true);
    scope.child().expireAt(7, 'call', 7);
    void backend(callTo('s', { clock, scope: new Scope(clock) }));
    await backend(callTo('s', { clock, scope: new Scope(clock) }));
    const check = (): void => checkLeaks({ clock, backend: [backend], scopes: [scope], signals: [signal] });
    expect(check).toThrow(
      'left behind: an armed background timer (Later, due at 5 ms); an armed timer (Scope, due at 7 ms); ' +
        '1 request(s) waiting for a reply; 1 open reply(s); ' +
        'something on scope 0 (a child, a watcher or a timeout); 1 abort listener(s) on signal 0',
    );
  });
});

describe('countResources', () => {
  it('names a server that was left open, and waits for one that is closing', async () => {
    const count = countResources();
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    await expect(count.check(20)).rejects.toThrow('left behind after 20 ms: 1 TCPServerWrap');
    server.close();
    await count.check();
  });
});
