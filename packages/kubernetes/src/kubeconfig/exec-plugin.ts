/**
 * @module Runs a credential plugin (`aws eks get-token`, `gke-gcloud-auth-plugin`, `kubelogin`) and keeps what it says for
 * as long as that holds.
 */
import { type Clock, later } from '@fairlead/core';
import { soundToken } from '../access/token-file.js';
import type { ExecSpec } from './exec-spec.js';
import type { Identity } from './identity.js';

/** What a plugin gave. */
export interface ExecCredential {
  readonly token: string | null;
  readonly identity: Identity | null;
  /** Ms since 1970; null if it holds until it is refused. */
  readonly expiresAt: number | null;
}

/** Time for one run, in ms: some ask a server of their own. */
const runMs = 60_000;
/** After a failure the plugin is left alone for so long, in ms, however many requests want it. */
const restMs = 5_000;
/** New credentials are got so long before the old ones expire, in ms, or after nine tenths of their time if that is later. */
const earlyMs = 30_000;
const maxBytes = 1_048_576;

/** One plugin. It is run when somebody asks, once for all who ask meanwhile. */
export class ExecPlugin {
  readonly #spec: ExecSpec;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #known: ExecCredential | null = null;
  /** Ms since 1970 until which {@link #known} is used. */
  #useUntil = 0;
  #running: Promise<ExecCredential> | null = null;
  #failure: Error | null = null;
  /** Monotonic ms until which the last failure is given for an answer. */
  #restUntil = 0;

  constructor(spec: ExecSpec, env: Readonly<Record<string, string | undefined>>) {
    this.#spec = spec;
    this.#env = env;
  }

  /** @throws Error with what the plugin wrote to stderr, if it fails, takes too long, or says what makes no sense */
  credential(clock: Clock): Promise<ExecCredential> {
    if (this.#known !== null && clock.wall() < this.#useUntil) return Promise.resolve(this.#known);
    if (this.#failure !== null && clock.now() < this.#restUntil) return Promise.reject(this.#failure);
    return (this.#running ??= this.#renew(clock));
  }

  /** The server did not take it: next time another is made, whatever its expiry says. */
  refused(token: string | null): void {
    if (this.#known?.token === token) this.#known = null;
  }

  async #renew(clock: Clock): Promise<ExecCredential> {
    try {
      const credential = readCredential(await this.#run(clock), this.#spec);
      const { expiresAt } = credential;
      const left = expiresAt === null ? Number.POSITIVE_INFINITY : expiresAt - clock.wall();
      this.#useUntil = clock.wall() + Math.max(left - earlyMs, left * 0.9);
      this.#known = credential;
      this.#failure = null;
      return credential;
    } catch (error) {
      this.#failure = error as Error;
      this.#restUntil = clock.now() + restMs;
      throw error;
    } finally {
      this.#running = null;
    }
  }

  #run(clock: Clock): Promise<string> {
    const { command, args, env, info } = this.#spec;
    return new Promise((resolve, reject) => {
      let late = false;
      // No shell: arguments are arguments, whatever is in them.
      const options = {
        env: { ...this.#env, ...env, KUBERNETES_EXEC_INFO: info },
        maxBuffer: maxBytes,
        windowsHide: true,
      };
      // Only here, and not for everybody who imports the package: it costs megabytes to load.
      const { execFile } = process.getBuiltinModule('node:child_process');
      const child = execFile(command, args, options, (error, stdout, stderr) => {
        clock.disarm(timeout);
        if (error === null) resolve(stdout);
        else reject(this.#failed(late ? `gave no answer within ${runMs} ms` : reasonOf(error), stderr));
      });
      // It cannot ask anybody anything.
      child.stdin?.on('error', () => {}).end();
      const timeout = later(clock, runMs, () => {
        late = true;
        child.kill('SIGKILL');
      });
    });
  }

  #failed(reason: string, stderr: string): Error {
    const { command, installHint } = this.#spec;
    const said = stderr.trim().slice(-1_000);
    const hint = reason.includes('not found') && installHint !== null ? `\n${installHint.trim()}` : '';
    return new Error(`the credential plugin ${command} ${reason}${said === '' ? '' : `: ${said}`}${hint}`);
  }
}

/** What execFile says would show the arguments, which may be secrets. */
function reasonOf(error: { readonly code?: unknown; readonly signal?: unknown }): string {
  if (error.code === 'ENOENT') return 'was not found';
  if (typeof error.code === 'number') return `failed with exit code ${error.code}`;
  return `could not be run (${String(error.code ?? error.signal)})`;
}

function readCredential(text: string, { apiVersion, command }: ExecSpec): ExecCredential {
  const wrong = (why: string): Error => new Error(`the credential plugin ${command} gave ${why}`);
  let object: { kind?: unknown; apiVersion?: unknown; status?: Readonly<Record<string, unknown>> | null } | null;
  try {
    object = JSON.parse(text);
  } catch {
    throw wrong('no JSON');
  }
  if (object?.kind !== 'ExecCredential') throw wrong('no ExecCredential');
  if (object.apiVersion !== apiVersion) throw wrong(`version ${object.apiVersion} and not ${apiVersion}`);
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp: expires } = object.status ?? {};
  const hasToken = typeof token === 'string' && token !== '';
  const hasIdentity = typeof cert === 'string' && cert !== '' && typeof key === 'string' && key !== '';
  if (!hasIdentity && (cert || key)) throw wrong('a certificate without a key, or the reverse');
  if (!hasToken && !hasIdentity) throw wrong('neither a token nor a certificate');
  const expiresAt = expires == null ? null : Date.parse(String(expires));
  if (Number.isNaN(expiresAt)) throw wrong('an expirationTimestamp that is no date');
  return {
    token: hasToken ? soundToken(token, `the answer of ${command}`) : null,
    identity: hasIdentity ? { cert, key } : null,
    expiresAt,
  };
}
