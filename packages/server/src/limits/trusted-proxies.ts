/** @module The networks whose word about where a request came from is taken. */
import { BlockList, isIP } from 'node:net';
import { ConfigError, type ConfigProblem } from '@fairlead/core';

/** Names for networks that are often meant. */
const named: Readonly<Record<string, readonly string[]>> = Object.freeze({
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
});

const networks = `a list of networks such as '10.0.0.0/8' or 'fd00::/8', addresses, ${Object.keys(named).join(', ')}`;
const everybody =
  `${networks}: trusting everybody would let each client choose the address it is limited by, ` +
  'and so have as many quotas as it likes. List the networks of your own proxies';

/**
 * Makes the test whether a normal address is one of a trusted proxy.
 * @throws ConfigError if something is not a network, or is all of the internet
 */
export function trustedNetworks(given: unknown, name: string): (address: string) => boolean {
  const list = new BlockList();
  const problems: ConfigProblem[] = [];
  if (!Array.isArray(given)) {
    const all = given === true || given === '*' || typeof given === 'number';
    throw new ConfigError([{ name, value: given, expected: all ? everybody : networks }]);
  }
  for (const network of given.flatMap((each) => (Object.hasOwn(named, each) ? (named[each] as string[]) : [each]))) {
    const expected = addNetwork(list, network);
    if (expected !== null) problems.push({ name, value: network, expected });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return (address) => list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}

/** Adds `network`, or says what would have been right. */
function addNetwork(list: BlockList, network: unknown): string | null {
  if (network === true || network === '*') return everybody;
  const match = typeof network === 'string' ? /^([^/]+)(?:\/(\d{1,3}))?$/.exec(network) : null;
  const address = match?.[1] ?? '';
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  const prefix = match?.[2] === undefined ? bits : Number(match[2]);
  if (version === 0 || address.includes('%') || prefix > bits) return networks;
  if (prefix === 0) return everybody;
  list.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4');
  return null;
}
