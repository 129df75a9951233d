// A layer and a gate of your own, and their tests in virtual time.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { callTo, checkLeaks, reply, scripted, VirtualClock } from '@fairlead/testing';
import {
  CanceledError,
  canSend,
  compose,
  discard,
  type Gate,
  gate,
  type Leave,
  type Middleware,
  RejectedError,
  readText,
  rejected,
  relay,
  withHeader,
} from 'fairlead';

// #region layer
/** Puts a bearer token on every call. If it has expired, gets a new one and tries once more. */
export function bearer(getToken: () => Promise<string>): Middleware {
  let token: Promise<string> | null = null;

  function renew(): Promise<string> {
    const renewed = getToken();
    token = renewed;
    renewed.catch(() => {
      token = null; // the next call tries anew
    });
    return renewed;
  }

  return async function bearer(call, next) {
    const current = token ?? renew();
    const answer = await next(call.with({ headers: withHeader(call.headers, 'authorization', await current) }));
    if (answer.status !== 401 || !canSend(call.body)) return answer;

    discard(answer); // whoever does not hand a reply up lets go of it
    // Of many calls that meet the expired token at once, the first gets the new one for all.
    const renewed = token === null || token === current ? renew() : token;
    return next(call.with({ headers: withHeader(call.headers, 'authorization', await renewed) }));
  };
}
// #endregion

// #region gate
/** Refuses what would be more than `max` calls at a time. */
export function maxInFlight(max: number): Gate {
  let inFlight = 0;
  const leave: Leave = () => {
    inFlight--;
  };

  return {
    name: 'maxInFlight',
    until: 'end', // a call takes up room until its body is through, not until its head is there
    enter(call) {
      if (inFlight >= max) {
        return rejected('concurrency', call.service, `${call.service}: ${max} calls are under way already`);
      }
      inFlight++;
      return leave; // the same function for every call
    },
  };
}
// #endregion

// #region relay
/** Says on every call which version of its caller makes it. */
export function versioned(version: string): Middleware {
  return relay('versioned', (call, next, receiver) => {
    next(call.with({ headers: withHeader(call.headers, 'x-caller-version', version) }), receiver);
  });
}
// #endregion

{
  const backend = scripted(reply(200));
  await compose([versioned('7')], backend)(callTo('payments'));
  assert.deepEqual(backend.calls[0]?.headers, ['x-caller-version', '7']);
}

// #region test-layer
{
  const clock = new VirtualClock();
  const call = callTo('payments', { clock });
  const backend = scripted((seen) => (seen.headers.includes('Bearer 2') ? reply(200, { body: 'ok' }) : reply(401)));
  let made = 0;
  const handler = compose([bearer(async () => `Bearer ${++made}`)], backend);

  const answer = await clock.run(handler(call));
  assert.equal(await readText(answer), 'ok');
  assert.equal(backend.calls.length, 2);
  checkLeaks({ clock, backend, scopes: [call.scope] });
}
// #endregion

// #region test-gate
{
  const clock = new VirtualClock();
  const backend = scripted(reply(200, { body: 'ok', afterMs: 60_000 })); // a minute that takes no time
  const handler = compose([gate(maxInFlight(1))], backend);

  const first = handler(callTo('payments', { clock }));
  await assert.rejects(handler(callTo('payments', { clock })), RejectedError);

  const answer = await clock.run(first);
  assert.equal(clock.now(), 60_000);
  await assert.rejects(handler(callTo('payments', { clock })), RejectedError); // its body has not been read yet
  await readText(answer);
  await clock.run(handler(callTo('payments', { clock })));
}
// #endregion

// #region listening
/** Holds calls back until `switchboard` says go, but no longer than the caller wants to wait. */
export function heldBack(switchboard: EventEmitter): Middleware {
  return async function heldBack(call, next) {
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        call.scope.unwatch(watcher);
        resolve();
      };
      const watcher = {
        onCancel(reason: unknown): void {
          switchboard.off('go', go);
          reject(reason);
        },
      };
      switchboard.once('go', go);
      call.scope.watch(watcher); // last: of a call that is canceled already it tells at once
    });
    return next(call);
  };
}
// #endregion

// #region test-listening
{
  const switchboard = new EventEmitter();
  const backend = scripted(reply(204));
  const handler = compose([heldBack(switchboard)], backend);

  const going = callTo('payments');
  const gone = callTo('payments');
  const answers = [handler(going), handler(gone)] as const;
  gone.scope.cancel();
  await assert.rejects(answers[1], CanceledError);
  switchboard.emit('go');
  assert.equal((await answers[0]).status, 204);
  assert.equal(backend.calls.length, 1);
  assert.equal(switchboard.listenerCount('go'), 0);
  checkLeaks({ scopes: [gone.scope] });
}
// #endregion

console.log('two layers and a gate of our own: tested');
