// A server that does so much per second and no more, one request after another in the order in which they came. What has
// been asked is done, also for callers who have left; `guarded` it stands behind fairlead's guard, and passes over requests
// whose caller has left or has no time any more. `node database.mjs PER_SECOND plain|guarded`; asked with anything it tells
// how many requests have arrived
import { createServer } from 'node:http';
import { callOf, guard } from 'fairlead/node';

const perMs = Number(process.argv[2]) / 1_000;
const guarded = process.argv[3] === 'guarded';
/** A pause that is longer than this was none of ours: nothing has been done meanwhile, and nothing is made up for. */
const LONGEST_MS = 250;
let arrived = 0;
let credit = 0;
let last = performance.now();
/** @type {{ request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse }[]} */
let queue = [];
let head = 0;

/** @param {import('node:http').IncomingMessage} request */
const pointless = (request) => guarded && (callOf(request)?.scope.expired() ?? false);

function work() {
  const now = performance.now();
  credit += Math.min(now - last, LONGEST_MS) * perMs;
  last = now;
  while (head < queue.length && credit >= 1) {
    const { request, response } = /** @type {typeof queue[number]} */ (queue[head++]);
    if (pointless(request)) continue;
    credit--;
    response.end('{"id":42}');
  }
  if (head < queue.length) return;
  // Idle time cannot be saved up.
  credit = Math.min(credit, 1);
  queue = [];
  head = 0;
}
setInterval(work, 4);

/** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
const answer = (request, response) => {
  arrived++;
  queue.push({ request, response });
};
const server = createServer(
  { keepAliveTimeout: 60_000 },
  guarded ? guard(answer, { environment: false, health: false, drain: false, shed: false }) : answer,
);
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.send?.(`http://127.0.0.1:${port}`);
});
process.on('message', () => process.send?.(arrived));
process.on('disconnect', () => process.exit(0));
