// Koa 3 behind the guard. Koa is a listener of node:http, so the guard goes around it and not among its middleware:
// nothing of koa runs for what is refused, and every await below finds the deadline and the trace of its request.
// PORT=3000 FAIRLEAD_SERVICE_PAYMENTS=dns://payments:8080 node server.mjs
import { createServer } from 'node:http';
import { createClient } from 'fairlead';
import { guard, harden, signalOf } from 'fairlead/node';
import Koa from 'koa';

// #region koa
const client = createClient();
const app = new Koa();

app.use(async (ctx) => {
  const reply = await client.fetch(`http://payments${ctx.path}`);
  ctx.status = reply.status;
  ctx.type = reply.headers.get('content-type') ?? 'text/plain';
  // Aborts when the client goes away, and when the deadline of the request passes.
  ctx.set('x-wanted', String(!signalOf(ctx.req).aborted));
  ctx.body = await reply.text();
});

const drain = { cleanup: () => client.close() };
const server = createServer(guard(app.callback(), { limit: { perSecond: 50, burst: 100 }, health: true, drain }));
harden(server);
server.listen(Number(process.env.PORT ?? 3_000));
// #endregion
