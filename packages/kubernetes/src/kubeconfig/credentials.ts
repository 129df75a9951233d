/** @module Who one is, as a user of a kubeconfig says it. */
import { resolve } from 'node:path';
import type { Clock } from '@fairlead/core';
import { readToken, soundToken } from '../access/token-file.js';
import { ExecPlugin } from './exec-plugin.js';
import { execSpec } from './exec-spec.js';
import type { Section } from './fields.js';
import { type Identity, identityOf } from './identity.js';

/** Credentials, fresh whenever they are asked for. */
export interface Credentials {
  token(clock: Clock): string | null | Promise<string | null>;
  /** Of user and password; null if there are none. */
  readonly authorization: string | null;
  /** Null for no client certificate. */
  identity(clock: Clock): Identity | null | Promise<Identity | null>;
  refused(token: string | null): void;
}

/** Reads a user. What is wrong is noted with it. */
export function credentialsOf(
  user: Section,
  cluster: Section,
  env: Readonly<Record<string, string | undefined>>,
): Credentials {
  if (user.fields['auth-provider'] != null) {
    user.wrong('auth-provider', 'an exec plugin instead: kubectl has dropped auth-provider since 1.26');
  }
  const token = tokenOf(user);
  const authorization = basicOf(user);
  if (token !== null && authorization !== null) user.wrong('', 'either a token or a username, not both');
  const identity = identityOf(user);
  const exec = user.section('exec');
  const spec = exec === null ? null : execSpec(exec, cluster);
  // As with kubectl, what stands there itself wins over what a plugin would say.
  const plugin = spec === null || token !== null || authorization !== null ? null : new ExecPlugin(spec, env);
  return {
    authorization,
    token: token ?? (async (clock) => (await plugin?.credential(clock))?.token ?? null),
    identity: identity ?? (async (clock) => (await plugin?.credential(clock))?.identity ?? null),
    refused: (refused) => plugin?.refused(refused),
  };
}

function tokenOf(user: Section): (() => string) | null {
  const file = user.text('tokenFile');
  const token = user.text('token');
  if (file !== null) {
    const path = resolve(user.folder, file);
    attempt(user, 'tokenFile', () => readToken(path));
    return () => readToken(path);
  }
  if (token === null) return null;
  attempt(user, 'token', () => soundToken(token.trim(), 'it'));
  return () => token.trim();
}

function attempt(user: Section, field: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    user.wrong(field, `a token (${(error as Error).message})`);
  }
}

function basicOf(user: Section): string | null {
  const name = user.text('username');
  const password = user.text('password') ?? '';
  if (name === null) return null;
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}
