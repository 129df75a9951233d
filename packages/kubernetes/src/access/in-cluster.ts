/** @module Access from within a pod, by its ServiceAccount. */
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { ConfigError, type ConfigProblem, createEndpoint, type Endpoint } from '@fairlead/core';
import { isPortNumber } from '../target.js';
import type { Access, AccessTls } from './access.js';
import { readToken } from './token-file.js';

/** Where {@link inCluster} looks. */
export interface InClusterOptions {
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Folder with `token`, `ca.crt` and `namespace`. Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly folder?: string;
}

/**
 * Access from within a pod: the address is in `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`, the rest is mounted
 * by the kubelet. Token and certificates are read anew for every request; where the certificates are unreadable at that
 * moment, those read before hold.
 * @throws ConfigError that lists everything that is missing or wrong
 */
export function inCluster(options: InClusterOptions = {}): Access {
  const { env = process.env, folder = '/var/run/secrets/kubernetes.io/serviceaccount' } = options;
  const problems: ConfigProblem[] = [];
  const server = serverOf(env, problems);
  const tokenFile = join(folder, 'token');
  attempt(problems, tokenFile, 'a ServiceAccount token', () => readToken(tokenFile));
  const caFile = join(folder, 'ca.crt');
  const ca = attempt(problems, caFile, 'certificates in PEM form', () => readCertificates(caFile));
  if (server === null || ca === null || problems.length > 0) {
    throw new ConfigError(problems, 'access to Kubernetes from within a pod');
  }
  let tls: AccessTls = { ca };
  return {
    server,
    ca,
    namespace: namespaceIn(folder),
    token: () => readToken(tokenFile),
    tls() {
      try {
        const now = readCertificates(caFile);
        if (now !== tls.ca) tls = { ca: now };
      } catch {
        // It is being replaced, most likely. If not, the handshake will tell.
      }
      return tls;
    },
  };
}

function serverOf(env: Readonly<Record<string, string | undefined>>, problems: ConfigProblem[]): Endpoint | null {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  const before = problems.length;
  const origin = `https://${isIPv6(host ?? '') ? `[${host}]` : host}:${port}`;
  if (host === undefined || !/^[\w.:-]+$/.test(host) || !URL.canParse(`https://${isIPv6(host) ? `[${host}]` : host}`)) {
    const expected = 'the address of the API server, which the kubelet sets in every pod';
    problems.push({ name: 'KUBERNETES_SERVICE_HOST', value: host, expected });
  }
  if (port === undefined || !/^\d+$/.test(port) || !isPortNumber(Number(port))) {
    problems.push({ name: 'KUBERNETES_SERVICE_PORT', value: port, expected: 'a port from 1 to 65535' });
  }
  return problems.length > before ? null : createEndpoint(origin);
}

function readCertificates(file: string): string {
  const text = readFileSync(file, 'utf8');
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error('there is no certificate in it');
  return text;
}

/** Only those who name no namespace need it, and hand-made mounts often lack it: not a problem here. */
function namespaceIn(folder: string): string | null {
  try {
    return readFileSync(join(folder, 'namespace'), 'utf8').trim() || null;
  } catch {
    return null;
  }
}

function attempt<T>(problems: ConfigProblem[], file: string, what: string, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    problems.push({ name: file, expected: `${what} (${(error as Error).message})` });
    return null;
  }
}
