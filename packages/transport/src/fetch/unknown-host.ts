/** @module What is wrong with a host that is no service. */
import { type ConfigProblem, closest } from '@fairlead/core';

/** Names what there is instead, and what was probably meant. @param names of the services that there are */
export function unknownHost(
  host: string,
  names: readonly string[],
): ConfigProblem & { readonly didYouMean: string | null } {
  const expected = names.length === 0 ? 'a service, of which there is none' : `one of ${names.join(', ')}`;
  return { name: 'host', value: host, expected, didYouMean: closest(host, names) };
}
