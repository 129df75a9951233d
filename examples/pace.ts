// A partner allows so many calls per second: they are spread, and the important ones go first.
import { createCall, createReply, type Handler, systemClock } from 'fairlead';

// Stands for what sends.
const sentAt: number[] = [];
const order: string[] = [];
const transport: Handler = async (call) => {
  sentAt.push(systemClock.now());
  order.push(call.path);
  return createReply({ at: systemClock.now() });
};

// #region stack
import { compose, deadline, pace } from 'fairlead';

const handler = compose(
  [
    deadline({ ms: 10_000 }),
    pace({ perSecond: 50, maxQueue: 100, priority: (call) => (call.path === '/payments' ? 0 : 9) }),
  ],
  transport,
);
// #endregion

const paths = ['/report', '/report', '/report', '/payments', '/report'];
await Promise.all(
  paths.map(async (path) => {
    const call = createCall({ service: 'bank', path, runtime: { clock: systemClock } });
    await handler(call);
    call.scope.close(); // it is ours, and its deadline would keep the process waiting
  }),
);
const ms = (sentAt.at(-1) as number) - (sentAt[0] as number);
if (order[0] !== '/payments' || ms < 70) throw new Error(`expected the payment first, and 80 ms: ${order}, ${ms} ms`);
console.log(`5 calls at 50 per second took ${Math.round(ms)} ms; the payment went first`);
