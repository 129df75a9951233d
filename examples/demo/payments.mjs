// One replica of the payments service: an express server behind guard(), with the capacity of a small real one.
// The demonstration tells it over IPC to misbehave: { mode: 'ok' | 'broken' | 'slow' }.
import express from 'express';
import { guard, signalOf } from 'fairlead/express';

const port = Number(process.argv[2]);
const workers = 1; // requests worked on at the same time, as if there were one database connection
const workMs = 15;

let mode = 'ok';
let busy = 0;
const waiting = [];

/** Does the work of a request, when it is its turn; not if nobody waits for it any more. */
async function work(ms, signal) {
  if (busy >= workers) await new Promise((resolve) => waiting.push(resolve));
  busy++;
  if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, ms));
  busy--;
  waiting.shift()?.();
}

const app = express();
app.disable('x-powered-by');
// drain: on SIGTERM finish what is going on, tell keep-alive connections to close, then leave. No limit in here.
app.use(guard({ name: 'payments', limit: false, drain: { delayMs: 200, timeoutMs: 3_000 } }));
app.get('/charges/:id', async (req, res) => {
  if (mode === 'broken') return res.status(503).json({ error: 'broken' });
  await work(mode === 'slow' ? 400 : workMs, signalOf(req));
  res.json({ id: req.params.id, amount: 4200, currency: 'EUR', replica: port });
});

process.on('message', (message) => {
  mode = message.mode;
  process.send?.({ mode });
});
process.on('disconnect', () => process.exit(0));
app.listen(port, '127.0.0.1', () => process.send?.({ ready: true }));
