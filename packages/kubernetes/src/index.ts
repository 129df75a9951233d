/** @module Endpoints of Kubernetes Services. */
export { type Access, type InClusterOptions, inCluster } from './access/access.js';
export { type KubernetesOptions, kubernetes, kubernetesDefaults } from './kubernetes.js';
export type { ListOptions } from './list-watch/list.js';
export type { ListWatchOptions } from './list-watch/list-watch.js';
export { ApiServerError, UnreadableError } from './list-watch/request.js';
export type { EndpointAttributes, TopologyHints } from './slices/slice.js';
export { type KubernetesTarget, parseTarget } from './target.js';
