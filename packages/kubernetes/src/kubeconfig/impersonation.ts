/** @module Acting as somebody else: the `as…` fields of a user, as headers. */
import type { HeaderPairs } from '@fairlead/core';
import type { Section } from './fields.js';

/** The headers by which the API server knows whom the user acts as; none if nobody else. */
export function impersonation(user: Section): HeaderPairs {
  const headers: string[] = [];
  const add = (field: string, header: string, value: string): void => {
    // Values are names that somebody chose. What a header cannot carry is refused rather than sent as something else.
    if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value)) headers.push(header, value);
    else user.wrong(field, 'printable ASCII, as headers can carry it', value);
  };
  const name = user.text('as');
  if (name !== null) add('as', 'impersonate-user', name);
  const uid = user.text('as-uid');
  if (uid !== null) add('as-uid', 'impersonate-uid', uid);
  for (const group of user.texts('as-groups')) add('as-groups', 'impersonate-group', group);
  const extra = user.section('as-user-extra');
  for (const key of Object.keys(extra?.fields ?? {})) {
    // Keys are percent-encoded: the server decodes them, and headers allow less than they may hold.
    const header = `impersonate-extra-${encodeURIComponent(key).toLowerCase()}`;
    for (const value of extra?.texts(key) ?? []) add(`as-user-extra.${key}`, header, value);
  }
  if (headers.length > 0 && name === null) user.wrong('as', 'a user, since there are a uid, groups or extra fields');
  return headers;
}
