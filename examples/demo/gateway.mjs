// The gateway, twice: with Fairlead, or with what Node brings along. Everything but the marked lines is the same.
import express from 'express';
import { createClient } from 'fairlead';
import { guard } from 'fairlead/express';

const [, , kind, port, ...replicas] = process.argv;
const app = express();
app.disable('x-powered-by');
let calls = 0;
let attempts = 0;

/** @type {(path: string) => Promise<Response>} */
let callPayments;

if (kind === 'fairlead') {
  // ---- with Fairlead
  const client = createClient({
    services: { payments: { from: replicas, attempts: 3, attemptTimeoutMs: 250, timeoutMs: 1_500 } },
    on(event) {
      if (event.type !== 'call.ended') return;
      calls++;
      attempts += event.attempts;
    },
  });
  app.use(guard({ name: 'gateway', limit: { perSecond: 150, burst: 20 } }));
  callPayments = (path) => client.fetch(`http://payments${path}`);
} else {
  // ---- with built-in fetch, spread round-robin over the same replicas
  let next = 0;
  callPayments = (path) => {
    calls++;
    attempts++;
    return fetch(replicas[next++ % replicas.length] + path);
  };
}

app.get('/charges/:id', async (req, res) => {
  const reply = await callPayments(`/charges/${req.params.id}`);
  res.status(reply.status).json(await reply.json());
});
app.use((error, _req, res, _next) => res.status(502).json({ error: String(error.cause ?? error) }));

process.on('message', () => {
  process.send?.({ calls, attempts });
  calls = 0;
  attempts = 0;
});
process.on('disconnect', () => process.exit(0));
app.listen(Number(port), '127.0.0.1', () => process.send?.({ ready: true }));
