// Does the retry work? A reset for each call that asks for it shows.
import { createCall, createReply, type Handler, systemClock } from 'fairlead';

// Stands for what sends.
let sent = 0;
const transport: Handler = async () => {
  sent++;
  return createReply({ at: systemClock.now() });
};

// #region stack
import { compose, injectFault, retry } from 'fairlead';

const handler = compose(
  [retry({ attempts: 5 }), injectFault({ ratio: 0.5, header: 'x-chaos', reset: true })],
  transport,
);
// #endregion

const runtime = { clock: systemClock };
let good = 0;
for (let i = 0; i < 20; i++) {
  const call = createCall({ service: 'payments', headers: ['x-chaos', '1'], runtime });
  if ((await handler(call).catch(() => null)) !== null) good++;
}
await handler(createCall({ service: 'payments', runtime }));
if (good < 15 || sent !== good + 1) throw new Error(`expected retries to help: ${good} of 20, ${sent} sent`);
console.log(`half of the attempts were reset; ${good} of 20 calls succeeded`);
