/** @module Endpoints of Kubernetes Services. */
export type { Access, AccessTls } from './access/access.js';
export { type Connection, connectTo } from './access/connect.js';
export { type FindAccessOptions, findAccess } from './access/find-access.js';
export { type InClusterOptions, inCluster } from './access/in-cluster.js';
export { type KubeconfigOptions, kubeconfig } from './kubeconfig/kubeconfig.js';
export {
  type KubernetesApi,
  type KubernetesApiOptions,
  type KubernetesOptions,
  kubernetes,
  kubernetesApi,
  kubernetesDefaults,
} from './kubernetes.js';
export type { ListOptions } from './list-watch/list.js';
export type { ListWatchOptions } from './list-watch/list-watch.js';
export { ApiServerError, UnreadableError } from './list-watch/request.js';
export type { WatchSettings } from './service-watch.js';
export type { EndpointAttributes, TopologyHints } from './slices/member.js';
export { type KubernetesTarget, parseTarget } from './target.js';
