/** @module The client certificate of a user, as data or in files that somebody replaces. */
import { resolve } from 'node:path';
import type { Section } from './fields.js';

/** A client certificate and its key (PEM). */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** Gives the certificate each time it is asked for; null if the user has none, or a wrong one, which is noted with it. */
export function identityOf(user: Section): (() => Identity) | null {
  const path = (field: string): string | null => {
    const file = user.text(field);
    return file === null ? null : resolve(user.folder, file);
  };
  const certFile = path('client-certificate');
  const keyFile = path('client-key');
  const cert = user.pem('client-certificate', certFile, 'CERTIFICATE');
  const key = user.pem('client-key', keyFile, 'PRIVATE KEY');
  const given = (field: string): boolean => user.text(field) !== null || user.text(`${field}-data`) !== null;
  const [hasCert, hasKey] = [given('client-certificate'), given('client-key')];
  if (hasCert !== hasKey) user.wrong(hasCert ? 'client-key' : 'client-certificate', 'to be there as well');
  if (cert === null || key === null) return null;
  let identity: Identity = { cert, key };
  return () => {
    const now = {
      cert: user.reread('client-certificate', certFile, 'CERTIFICATE') ?? identity.cert,
      key: user.reread('client-key', keyFile, 'PRIVATE KEY') ?? identity.key,
    };
    if (now.cert !== identity.cert || now.key !== identity.key) identity = now;
    return identity;
  };
}
