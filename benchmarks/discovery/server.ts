/** @module The scripted API server in a process of its own, for `startApart`: so many slices of so many Services. */
import { certificate } from '../../packages/fairlead/test/certificate.ts';
import { ApiListener } from '../../packages/kubernetes/test/api-listener.ts';
import { ApiModel } from '../../packages/kubernetes/test/api-model.ts';
import { sliceOf } from './slices.ts';

const [services = 1, slices = 1, endpoints = 100] = process.argv.slice(2).map(Number);
const model = new ApiModel();
for (let s = 0; s < services; s++) {
  for (let n = 0; n < slices; n++) model.put(sliceOf(`service-${s}`, n, false, endpoints));
}
const listener = new ApiListener(model, 'h2', certificate);
await listener.start();
process.send?.({ origin: listener.origin, ca: certificate.cert });
process.on('disconnect', () => process.exit());
