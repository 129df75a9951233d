/** @module What must not stand in an error or a log: secrets, by the name of what holds them or by where they stand. */

const secretName = /TOKEN|KEY|PASSWORD|PASSWD|SECRET|CREDENTIAL/i;
/** Everything up to the last @ of a URL, even where an unescaped password makes it no URL; not into the next of a list. */
const urlCredentials = /(\/\/)(?:(?!,[a-z][a-z0-9+.-]*:\/\/)\S)*@/gi;
const bareCredentials = /(^|[\s,])[^\s,/:@]+:(?!\/\/)[^\s,]*@/g;
const secretQuery = /([?&;][^=&;\s]*(?:token|key|password|secret|signature)[^=&;\s]*=)[^&;#\s,]*/gi;

/** What stands in a secret's place. */
export const redactedText = '(redacted)';

/** Whether something called `name` is likely to be a secret. */
export function isSecretName(name: string): boolean {
  return secretName.test(name);
}

/**
 * `value` as it may be shown: redacted whole if it is a secret, else without the credentials that its URLs carry. Lists
 * and plain objects are gone through, a few levels deep; what is deeper is left out.
 * @param secret whether the value is a secret by itself
 */
export function redact(value: unknown, secret: boolean, depth = 4): unknown {
  if (value === undefined) return undefined;
  if (secret) return redactedText;
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return '…';
  if (Array.isArray(value)) return value.map((item) => redact(item, false, depth - 1));
  const shown = Object.entries(value).map(([key, item]) => [key, redact(item, isSecretName(key), depth - 1)]);
  return Object.fromEntries(shown);
}

/** `text` without the credentials that stand in its URLs. */
export function redactText(text: string): string {
  return text
    .replace(urlCredentials, `$1${redactedText}@`)
    .replace(bareCredentials, `$1${redactedText}@`)
    .replace(secretQuery, `$1${redactedText}`);
}
