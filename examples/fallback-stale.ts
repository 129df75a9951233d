// The last good answer stands in for the one that does not come; for what was never asked, another service.
import { createCall, createReply, type Handler, readText, systemClock, TransportError } from 'fairlead';

// Stand for what sends, to the one and to the other.
let up = true;
const transport: Handler = async ({ service, path }) => {
  if (!up) throw new TransportError({ phase: 'connect', sent: 'no', service });
  return createReply({ body: `price of ${path}`, headers: { 'content-length': '11' }, at: systemClock.now() });
};
const archive: Handler = async ({ path }) =>
  createReply({ body: `last year's price of ${path}`, at: systemClock.now() });

// #region stack
import { compose, fallback, toService } from 'fairlead';

const handler = compose(
  [fallback({ stale: { maxAgeMs: 600_000 }, to: toService(archive, { service: 'archive', timeoutMs: 1_000 }) })],
  transport,
);
// #endregion

const ask = (path: string) => handler(createCall({ service: 'prices', path, runtime: { clock: systemClock } }));
await readText(await ask('/7'));
up = false;
const known = await ask('/7');
const unknown = await ask('/8');
const told = [known.insteadOf, known.headers.age, await readText(known), await readText(unknown)].join(', ');
if (told !== "transport, 0, price of /7, last year's price of /8") throw new Error(`expected stand-ins: ${told}`);
console.log(told);
