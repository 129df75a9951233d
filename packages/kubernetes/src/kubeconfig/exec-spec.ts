/** @module What the `exec` of a user says: which plugin, and what it wants to know. */
import { isAbsolute, resolve } from 'node:path';
import { fieldsOf, type Section } from './fields.js';

/** A plugin that makes credentials, ready to be run. */
export interface ExecSpec {
  readonly apiVersion: string;
  /** A name to be found on the path, or an absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What to say if there is no such command. */
  readonly installHint: string | null;
  /** Value of `KUBERNETES_EXEC_INFO`. */
  readonly info: string;
}

const versions: readonly string[] = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

/** Reads `exec`; null if it is wrong, which is noted with it. */
export function execSpec(exec: Section, cluster: Section): ExecSpec | null {
  const before = exec.problems.length;
  const apiVersion = exec.text('apiVersion') ?? '';
  if (!versions.includes(apiVersion)) exec.wrong('apiVersion', `one of ${versions.join(', ')}`, apiVersion);
  const command = exec.text('command');
  if (command === null) exec.wrong('command', 'the command to run');
  const mode = exec.text('interactiveMode');
  if (mode === 'Always') exec.wrong('interactiveMode', 'Never or IfAvailable: nobody can be asked here', mode);
  else if (mode === null ? apiVersion === versions[0] : mode !== 'Never' && mode !== 'IfAvailable') {
    exec.wrong('interactiveMode', 'Never or IfAvailable', mode ?? undefined);
  }
  const env = envOf(exec);
  const args = exec.fields.args == null ? [] : exec.texts('args');
  const info = infoOf(apiVersion, exec.flag('provideClusterInfo') ? cluster : null);
  if (command === null || exec.problems.length > before) return null;
  return { apiVersion, command: locate(command, exec.folder), args, env, installHint: exec.text('installHint'), info };
}

/** A bare name is for the path; anything with a slash is relative to the file that says it. */
function locate(command: string, folder: string): string {
  return isAbsolute(command) || !/[\\/]/.test(command) ? command : resolve(folder, command);
}

function envOf(exec: Section): Readonly<Record<string, string>> {
  const entries = exec.fields.env ?? [];
  const env: Record<string, string> = {};
  if (!Array.isArray(entries)) exec.wrong('env', 'a list of names and values');
  else {
    for (const [i, entry] of entries.entries()) {
      const { name, value } = fieldsOf(entry) ?? {};
      if (typeof name === 'string' && name !== '' && typeof value === 'string') env[name] = value;
      else exec.wrong(`env[${i}]`, 'a name and a value');
    }
  }
  return env;
}

function infoOf(apiVersion: string, cluster: Section | null): string {
  const spec = { interactive: false, ...(cluster === null ? null : { cluster: aboutCluster(cluster) }) };
  return JSON.stringify({ kind: 'ExecCredential', apiVersion, spec });
}

/** Names are those of the ExecCredential API, which are not quite those of the kubeconfig: certificates come as data. */
function aboutCluster(cluster: Section): object {
  const file = cluster.text('certificate-authority');
  const ca = cluster.reread(
    'certificate-authority',
    file === null ? null : resolve(cluster.folder, file),
    'CERTIFICATE',
  );
  const extensions = cluster.fields.extensions;
  const own = Array.isArray(extensions)
    ? extensions.find((each) => fieldsOf(each)?.name === 'client.authentication.k8s.io/exec')
    : undefined;
  return {
    server: cluster.text('server'),
    'tls-server-name': cluster.text('tls-server-name') ?? undefined,
    'insecure-skip-tls-verify': cluster.fields['insecure-skip-tls-verify'] === true ? true : undefined,
    'certificate-authority-data': ca === null ? undefined : Buffer.from(ca).toString('base64'),
    config: own === undefined ? null : (fieldsOf(own)?.extension ?? null),
  };
}
