// The next version of a service gets a copy of some calls; nobody waits for it.
import { createCall, createReply, discard, type Handler, type Runtime, systemClock } from 'fairlead';

// Stand for what sends.
let copies = 0;
const transport: Handler = async () => createReply({ at: systemClock.now() });
const other: Handler = async () => {
  copies++;
  throw new Error('the next version does not work yet');
};

// #region stack
import { compose, mirror, retry } from 'fairlead';

const next = compose([retry({ attempts: 1 })], other);
const handler = compose([mirror({ to: next, service: 'search-next', ratio: 1 }), retry()], transport);
// #endregion

const failed = new Promise<void>((resolve) => {
  const runtime: Runtime = {
    clock: systemClock,
    on: (event) => (event.type as string) === 'mirror.ended' && resolve(),
  };
  void handler(createCall({ service: 'search', runtime })).then(discard);
});
await failed;
if (copies !== 1) throw new Error(`expected one copy: ${copies}`);
console.log('the call was answered; its copy failed, which nobody but a listener has noticed');
