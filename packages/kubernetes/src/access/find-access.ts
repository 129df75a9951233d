/** @module The way to the API server that this process most likely means. */
import { existsSync } from 'node:fs';
import { ConfigError } from '@fairlead/core';
import { kubeconfigFiles } from '../kubeconfig/files.js';
import { type KubeconfigOptions, kubeconfig } from '../kubeconfig/kubeconfig.js';
import type { Access } from './access.js';
import { type InClusterOptions, inCluster } from './in-cluster.js';

/** Where {@link findAccess} looks. */
export interface FindAccessOptions extends InClusterOptions, KubeconfigOptions {}

/**
 * - a `context` that is named, or `KUBECONFIG`: {@link kubeconfig}
 * - else, within a pod: {@link inCluster}
 * - else `~/.kube/config`
 * @throws ConfigError that lists everything that is missing or wrong
 */
export function findAccess(options: FindAccessOptions = {}): Access {
  const { env = process.env, context = null } = options;
  const pod = env.KUBERNETES_SERVICE_HOST !== undefined;
  if (context !== null || (env.KUBECONFIG ?? '') !== '') return kubeconfig(options);
  const files = kubeconfigFiles(options);
  if (!pod && files.some((file) => existsSync(file))) return kubeconfig(options);
  try {
    return inCluster(options);
  } catch (error) {
    if (pod || !(error instanceof ConfigError)) throw error;
    const expected = 'a kubeconfig, since this process runs in no pod';
    throw new ConfigError([...error.problems, { name: files.join(', '), expected }], 'access to Kubernetes');
  }
}
