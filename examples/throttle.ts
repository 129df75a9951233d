// A service that is asked for ten times what it can take is asked for twice that, and not for ten times.
import { createCall, createReply, type Handler, systemClock } from 'fairlead';

// Stands for what sends: the service accepts one call of ten.
let asked = 0;
const transport: Handler = async () =>
  ++asked % 10 === 0
    ? createReply({ at: systemClock.now() })
    : createReply({ status: 503, headers: { 'retry-after': '1' }, at: systemClock.now() });

// #region stack
import { compose, gate, RejectedError, throttle } from 'fairlead';

const handler = compose([gate(throttle({ k: 2, windowMs: 10_000 }))], transport);
// #endregion

let refused = 0;
for (let i = 0; i < 1_000; i++) {
  try {
    await handler(createCall({ service: 'search', runtime: { clock: systemClock } }));
  } catch (error) {
    if (!(error instanceof RejectedError) || error.by !== 'throttle') throw error;
    refused++;
  }
}
if (refused < 500 || refused + asked !== 1_000) throw new Error(`expected most to be refused here: ${refused}`);
console.log(`of 1,000 calls ${refused} were refused before they cost the service anything`);
