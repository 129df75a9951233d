/** @module A certificate for 127.0.0.1 that nobody else trusts, made by openssl for one run. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where it is, and what to trust. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
  remove(): void;
}

/** Null, and a line that says so, without openssl. */
export function makeCertificate(): Certificate | null {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-certificate-'));
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
  const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const { status } = spawnSync('openssl', ['req', '-x509', ...curve, '-out', certificate, '-days', '2', ...name]);
  if (status !== 0) {
    console.log('skipped  TLS and HTTP/2: openssl could not make a certificate');
    remove();
    return null;
  }
  return { certificate, key, ca: readFileSync(certificate, 'utf8'), remove };
}
