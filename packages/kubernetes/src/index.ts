/** @module Endpoints of Kubernetes Services. */
export { type Access, type InClusterOptions, inCluster } from './access.js';
export { type KubernetesOptions, kubernetes, kubernetesDefaults } from './kubernetes.js';
export type { ListOptions } from './list.js';
export type { ListWatchOptions } from './list-watch.js';
export { ApiServerError, UnreadableError } from './request.js';
export type { EndpointAttributes, TopologyHints } from './slice.js';
export { type KubernetesTarget, parseTarget } from './target.js';
