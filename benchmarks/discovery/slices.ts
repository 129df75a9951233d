/** @module Slices as the controller writes them: 100 endpoints of 325 bytes each. */
import type { ModelEndpoint, ModelSlice } from '../../packages/kubernetes/test/api-model.ts';

export const perSlice = 100;

/** The slice number `n` of a Service. `flip` changes one of its endpoints. */
export function sliceOf(service: string, n: number, flip = false, endpoints: number = perSlice): ModelSlice {
  return {
    service,
    name: `${service}-${String(n).padStart(5, '0')}`,
    endpoints: Array.from({ length: endpoints }, (_, i) => endpointOf(service, n * perSlice + i, flip && i === 0)),
  };
}

function endpointOf(service: string, i: number, down: boolean): ModelEndpoint {
  const hex = (n: number): string => (n * 2_654_435_761).toString(16).padStart(12, '0').slice(-12);
  const zone = `eu-central-1${'abc'[i % 3]}`;
  return {
    addresses: [`10.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`],
    conditions: { ready: !down, serving: !down, terminating: false },
    nodeName: `ip-10-0-${i % 250}-${i % 17}.eu-central-1.compute.internal`,
    targetRef: {
      kind: 'Pod',
      namespace: 'prod',
      name: `${service}-6d4cf56db6-${hex(i).slice(0, 5)}`,
      uid: `4a1f0b6e-1111-4222-8333-${hex(i)}`,
    },
    zone,
  };
}
