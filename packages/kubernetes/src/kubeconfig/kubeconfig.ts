/** @module Access by a kubeconfig, as kubectl has it: for development, and for clusters that one does not run in. */
import { resolve } from 'node:path';
import { ConfigError, type ConfigProblem, closest, createEndpoint, type Endpoint } from '@fairlead/core';
import type { Access, AccessTls } from '../access/access.js';
import { credentialsOf } from './credentials.js';
import type { Section } from './fields.js';
import { type KubeconfigFiles, kubeconfigFiles, type Merged, mergeKubeconfig } from './files.js';
import { impersonation } from './impersonation.js';

/** Which kubeconfig, and which of its contexts. */
export interface KubeconfigOptions extends KubeconfigFiles {
  /** Default null: its `current-context`. */
  readonly context?: string | null;
}

const what = 'access to Kubernetes by kubeconfig';

/**
 * Access as a kubeconfig describes it: `KUBECONFIG` (several files are merged) or `~/.kube/config`. Understood are
 * certificate authorities, client certificates and keys (as data and as files, which are read anew for every request),
 * tokens and token files, user and password, exec plugins, impersonation, `tls-server-name` and
 * `insecure-skip-tls-verify`. The older `auth-provider` and `proxy-url` are refused.
 *
 * Nothing is run or opened before the first request.
 * @throws ConfigError that lists everything that is wrong in what the context needs; never with a secret
 */
export function kubeconfig(options: KubeconfigOptions = {}): Access {
  const problems: ConfigProblem[] = [];
  const files = kubeconfigFiles(options);
  const merged = mergeKubeconfig(files, problems);
  if (merged.files.length === 0 && problems.length === 0) {
    problems.push({ name: files.join(', '), expected: 'a kubeconfig: there is no such file' });
  }
  const context = problems.length > 0 ? null : contextOf(merged, options.context ?? null, problems);
  const access = context === null ? null : accessOf(merged, context, options);
  if (access === null || problems.length > 0) throw new ConfigError(problems, what);
  return access;
}

function contextOf(merged: Merged, wanted: string | null, problems: ConfigProblem[]): Section | null {
  const name = wanted ?? merged.currentContext;
  const context = name === null ? undefined : merged.contexts.get(name);
  if (context !== undefined) return context;
  const names = [...merged.contexts.keys()];
  const expected = `one of ${names.join(', ') || 'no contexts at all'}`;
  const didYouMean = name === null ? null : closest(name, names);
  problems.push({
    name: wanted === null ? 'current-context' : 'context',
    value: name ?? undefined,
    expected,
    didYouMean,
  });
  return null;
}

function accessOf(merged: Merged, context: Section, options: KubeconfigOptions): Access | null {
  const cluster = entry(merged.clusters, context, 'cluster');
  const user = entry(merged.users, context, 'user');
  if (cluster === null) return null;
  const address = serverOf(cluster);
  const trust = trustOf(cluster);
  const credentials = user === null ? null : credentialsOf(user, cluster, options.env ?? process.env);
  const headers = user === null ? [] : impersonation(user);
  if (address === null) return null;
  return {
    server: address.server,
    basePath: address.basePath,
    ca: trust().ca ?? null,
    namespace: context.text('namespace') ?? 'default',
    headers,
    token: (clock) => credentials?.token(clock) ?? null,
    authorization: () => credentials?.authorization ?? null,
    async tls(clock) {
      return { ...trust(), ...(await credentials?.identity(clock)) };
    },
    refused: (token) => credentials?.refused(token),
  };
}

/** The entry that the context names; null if it names none or one that is not there, which only a user may be. */
function entry(entries: ReadonlyMap<string, Section>, context: Section, field: 'cluster' | 'user'): Section | null {
  const name = context.text(field);
  const found = name === null ? undefined : entries.get(name);
  if (found !== undefined) return found;
  if (name !== null || field === 'cluster') {
    context.wrong(field, `one of ${[...entries.keys()].join(', ') || 'none that there are'}`, name ?? undefined);
  }
  return null;
}

function serverOf(cluster: Section): { readonly server: Endpoint; readonly basePath: string } | null {
  if (cluster.text('proxy-url') !== null) {
    cluster.wrong('proxy-url', 'nothing: a proxy in between is not supported');
  }
  const text = cluster.text('server');
  const url = text !== null && URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    cluster.wrong('server', 'the URL of an API server: https://host:6443');
    return null;
  }
  return { server: createEndpoint(url.origin), basePath: url.pathname.replace(/\/+$/, '') };
}

/** Whom to trust, each time it is asked for. */
function trustOf(cluster: Section): () => AccessTls {
  const insecure = cluster.flag('insecure-skip-tls-verify');
  const servername = cluster.text('tls-server-name');
  const file = cluster.text('certificate-authority');
  const path = file === null ? null : resolve(cluster.folder, file);
  const first = cluster.pem('certificate-authority', path, 'CERTIFICATE');
  if (insecure && first !== null) {
    cluster.wrong('insecure-skip-tls-verify', 'false where there is a certificate-authority', true);
  }
  let ca = first;
  return () => {
    // One that cannot be read now is being replaced, most likely.
    ca = cluster.reread('certificate-authority', path, 'CERTIFICATE') ?? ca;
    return {
      ...(ca === null ? null : { ca }),
      ...(servername === null ? null : { servername }),
      ...(insecure ? { rejectUnauthorized: false } : null),
    };
  };
}
