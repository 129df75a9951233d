// Would catch: a caller who waits for a deaf layer, a late reply that keeps its connection, a late error that crashes the
// process, a watcher left on the scope.
import { CanceledError, type Handler, type Reply, readText } from '@fairlead/core';
import { callTo, checkLeaks, refuse, reply, scripted } from '@fairlead/testing';
import { describe, expect, it } from 'vitest';
import { race } from './race.js';

/** A layer that awaits something which cannot be interrupted, and what ends its wait. */
function deaf(): { handler: Handler; resolve(reply: Reply): void; reject(error: unknown): void; asked(): number } {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  let asked = 0;
  const handler: Handler = () => {
    asked++;
    return promise;
  };
  return { handler, resolve, reject, asked: () => asked };
}

describe('race', () => {
  it('passes replies and errors through', async () => {
    const call = callTo();
    expect(await readText(await race()(call, scripted(reply(200, { body: 'ok' }))))).toBe('ok');
    await expect(race()(call, scripted(refuse()))).rejects.toMatchObject({ code: 'ERR_TRANSPORT' });
    checkLeaks({ scopes: [call.scope] });
  });

  it('rejects as soon as the call is canceled, and discards a late reply', async () => {
    const call = callTo();
    const layer = deaf();
    const going = race()(call, layer.handler);
    call.scope.cancel();
    await expect(going).rejects.toBeInstanceOf(CanceledError);
    // On a scope of its own, as a layer that does not listen would have it.
    const other = callTo();
    const backend = scripted(reply(200, { body: ['never', 'ends'], stallAfter: 1 }));
    layer.resolve(await backend(other));
    await Promise.resolve();
    checkLeaks({ backend, scopes: [call.scope, other.scope] });
  });

  it('lets a late error be', async () => {
    const call = callTo();
    const layer = deaf();
    const going = race()(call, layer.handler);
    call.scope.cancel('enough');
    await expect(going).rejects.toBe('enough');
    layer.reject(new Error('nobody listens'));
  });

  it('does not begin what is canceled already', async () => {
    const call = callTo();
    call.scope.cancel('enough');
    const layer = deaf();
    await expect(race()(call, layer.handler)).rejects.toBe('enough');
    expect(layer.asked()).toBe(0);
  });
});
