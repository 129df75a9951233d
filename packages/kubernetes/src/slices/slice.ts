/** @module One EndpointSlice, as far as it matters here: whom it offers at the wanted port, and how willing they are. */
import { isIP } from 'node:net';
import { createEndpoint, type Endpoint } from '@fairlead/core';
import { UnreadableError } from '../list-watch/request.js';
import { isPortNumber } from '../target.js';

/** Lists are null when they are empty, and nothing can be relied upon to be there. */
type Maybe<T> = T | null | undefined;

interface PortObject {
  readonly name?: Maybe<string>;
  readonly port?: Maybe<number>;
  readonly protocol?: Maybe<string>;
  readonly appProtocol?: Maybe<string>;
}

interface EndpointObject {
  readonly addresses?: Maybe<readonly string[]>;
  readonly conditions?: Maybe<{
    readonly ready?: Maybe<boolean>;
    readonly serving?: Maybe<boolean>;
    readonly terminating?: Maybe<boolean>;
  }>;
  readonly hints?: Maybe<{
    readonly forZones?: Maybe<readonly { readonly name: string }[]>;
    readonly forNodes?: Maybe<readonly { readonly name: string }[]>;
  }>;
  readonly nodeName?: Maybe<string>;
  readonly targetRef?: Maybe<{ readonly name?: Maybe<string> }>;
  readonly zone?: Maybe<string>;
}

/** An EndpointSlice of discovery.k8s.io/v1 as it comes from the API server. */
export interface SliceObject {
  readonly metadata?: Maybe<{ readonly name?: Maybe<string>; readonly resourceVersion?: Maybe<string> }>;
  readonly addressType?: Maybe<string>;
  readonly endpoints?: Maybe<readonly Maybe<EndpointObject>[]>;
  readonly ports?: Maybe<readonly PortObject[]>;
}

/** How the slices' `hints` come in {@link EndpointAttributes}. */
export interface TopologyHints {
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
}

/** `attributes` of an endpoint found here. */
export interface EndpointAttributes {
  readonly node: string | null;
  readonly pod: string | null;
  /** For whom the endpoint is meant; null if for everybody. */
  readonly hints: TopologyHints | null;
  readonly terminating: boolean;
}

/**
 * How willing an endpoint is; lower is better.
 * - 0: takes work
 * - 1: terminates, and still serves: for when nobody takes work (as kube-proxy does, KEP-1669)
 * - 2: published although it is not ready (`publishNotReadyAddresses`), for when there is nobody else
 */
export type Rank = 0 | 1 | 2;

/** An endpoint in a slice. */
export interface Member {
  readonly endpoint: Endpoint;
  readonly rank: Rank;
}

/** What is kept of a slice. */
export interface Slice {
  readonly name: string;
  readonly members: readonly Member[];
  /** The ports that it has, for a message, if somebody is there but the wanted port is not; else null. */
  readonly otherPorts: readonly string[] | null;
}

/**
 * Reads a slice.
 * @param port name of the wanted port, or its number
 * @throws UnreadableError if it is none
 */
export function readSlice(object: SliceObject, port: string | number): Slice {
  const name = object?.metadata?.name;
  const { addressType, endpoints = null, ports = null } = object ?? {};
  if (typeof name !== 'string' || name === '' || !isList(endpoints) || !isList(ports)) {
    throw new UnreadableError('an object in the answer of the API server is no EndpointSlice');
  }
  // FQDN slices name no address, and no controller of Kubernetes makes them.
  if (endpoints === null || (addressType !== 'IPv4' && addressType !== 'IPv6')) {
    return { name, members: [], otherPorts: null };
  }
  const place = findPort(ports ?? [], port);
  if (place === null) {
    const otherPorts = (ports ?? []).map((each) => `${each.name || '(unnamed)'} (${each.port ?? 'any'})`);
    return { name, members: [], otherPorts: endpoints.length > 0 ? otherPorts : null };
  }
  const members: Member[] = [];
  for (const each of endpoints) {
    const member = each == null ? null : readEndpoint(each, place);
    if (member !== null) members.push(member);
  }
  return { name, members, otherPorts: null };
}

function isList(value: unknown): boolean {
  return value === null || Array.isArray(value);
}

interface Place {
  readonly scheme: 'http' | 'https';
  readonly port: number;
}

function findPort(ports: readonly PortObject[], wanted: string | number): Place | null {
  // A headless Service need not have ports; whoever gives a number knows what its pods listen on.
  if (ports.length === 0) return typeof wanted === 'number' ? { scheme: 'http', port: wanted } : null;
  for (const { name, port, protocol, appProtocol } of ports) {
    if ((protocol ?? 'TCP') !== 'TCP') continue;
    // An entry without a number stands for every port.
    const found = typeof wanted === 'number' ? (port ?? wanted) === wanted : name === wanted && isPortNumber(port);
    if (!found) continue;
    const secure = appProtocol === 'https' || /^https(-|$)/.test(name ?? '');
    return { scheme: secure ? 'https' : 'http', port: typeof wanted === 'number' ? wanted : (port as number) };
  }
  return null;
}

function readEndpoint(object: EndpointObject, { scheme, port }: Place): Member | null {
  const { addresses, conditions, nodeName, targetRef, zone } = object;
  // The API gives no meaning to more addresses than the first, and kube-proxy does not look at them either.
  const address = addresses?.[0];
  const family = typeof address === 'string' && !address.includes('%') ? isIP(address) : 0;
  const terminating = conditions?.terminating === true;
  const rank = rankOf(conditions?.ready !== false, conditions?.serving, terminating);
  if (family === 0 || rank === null) return null;
  const attributes: EndpointAttributes = {
    node: nodeName ?? null,
    pod: targetRef?.name ?? null,
    hints: hintsOf(object.hints),
    terminating,
  };
  const origin = `${scheme}://${family === 6 ? `[${address}]` : address}:${port}`;
  return { endpoint: createEndpoint(origin, { zone: zone || null, attributes: { ...attributes } }), rank };
}

function rankOf(ready: boolean, serves: Maybe<boolean>, terminating: boolean): Rank | null {
  const serving = serves ?? ready;
  if (serving && terminating) return 1;
  if (!ready) return null;
  return serving && !terminating ? 0 : 2;
}

function hintsOf(hints: EndpointObject['hints']): TopologyHints | null {
  const zones = (hints?.forZones ?? []).map((each) => each.name);
  const nodes = (hints?.forNodes ?? []).map((each) => each.name);
  return zones.length + nodes.length === 0 ? null : { zones, nodes };
}
