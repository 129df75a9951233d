/**
 * @module The scripted API server as a process of its own: `node api-process.ts`. It is told what happens by messages, one
 * JSON object each, `{ id, method, args }` with a method of the model or `start` or `stop`, and answers `{ id, origin }`.
 */
import { ApiListener, type Protocol } from './api-listener.ts';
import { ApiModel } from './api-model.ts';

const [protocol = 'http', cert, key] = process.argv.slice(2);
const model = new ApiModel();
const certificate = cert === undefined || key === undefined ? null : { cert, key };
const listener = new ApiListener(model, protocol as Protocol, certificate);

process.on('message', async ({ id, method, args }: { id: number; method: string; args: unknown[] }) => {
  if (method === 'start') await listener.start();
  else if (method === 'stop') await listener.stop();
  else (model as unknown as Record<string, (...args: unknown[]) => void>)[method]?.(...args);
  process.send?.({ id, origin: listener.origin, watching: model.watching, counts: model.counts });
});
process.on('disconnect', () => process.exit());
