// An answer that is late is asked for a second time, from somebody else.
import { createCall, createReply, discard, type Handler, sleep, systemClock } from 'fairlead';

// Stands for what sends: one endpoint of two has come to a halt.
let sent = 0;
let canceled = 0;
const transport: Handler = async ({ scope, tried }) => {
  sent++;
  const slow = tried.sends === 0;
  tried.sends++;
  try {
    await sleep(systemClock, slow ? 5_000 : 5, scope);
  } catch (reason) {
    canceled++;
    throw reason;
  }
  return createReply({ at: systemClock.now() });
};

// #region stack
import { attemptTimeout, compose, hedge, retry } from 'fairlead';

const handler = compose([retry(), hedge({ delayMs: 30 }), attemptTimeout({ ms: 2_000 })], transport);
// #endregion

const newCall = () => createCall({ service: 'payments', runtime: { clock: systemClock } });
const before = systemClock.now();
discard(await handler(newCall()));
const ms = systemClock.now() - before;
if (sent !== 2 || canceled !== 1 || ms > 2_000) throw new Error(`expected a hedge: ${sent}, ${canceled}, ${ms} ms`);

// #region budget
import { retryBudget } from 'fairlead';

const budget = retryBudget({ ratio: 0.1 });
const shared = compose([retry({ budget }), hedge({ delayMs: 30, attempts: 2, budget })], transport);
// #endregion

discard(await shared(newCall()));
console.log(`answered by the second attempt after ${Math.round(ms)} ms; the first was canceled`);
