/** @module The one place where node:http and node:https can be told to whom their clients connect. */
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';

/** What an agent is asked to connect to. */
export interface ConnectOptions {
  readonly host?: string;
  readonly port?: number | string | null;
  readonly socketPath?: string;
  /** Ms without traffic until the socket tells. */
  readonly timeout?: number;
}

/** A socket for `options`, or null to have one made as ever. */
export type Connect = (options: ConnectOptions, secure: boolean) => Duplex | null;

type CreateConnection = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Puts `connect` in front of the agents of both. It reaches every agent that does not bring its own `createConnection`,
 * the global ones and those that exist already included.
 * @returns puts back what was there. Where somebody else has put something in front meanwhile, what is behind only passes on
 */
export function patchAgents(connect: Connect): () => void {
  const undo = [patch(http.Agent.prototype, connect, false), patch(https.Agent.prototype, connect, true)];
  return () => {
    for (const each of undo) each();
  };
}

function patch(prototype: object, connect: Connect, secure: boolean): () => void {
  const before = Object.getOwnPropertyDescriptor(prototype, 'createConnection') as PropertyDescriptor;
  const original = before.value as CreateConnection;
  let active = true;
  const createConnection: CreateConnection = function createConnection(this: unknown, ...args) {
    const [options] = args;
    const socket = active && isOptions(options) ? connect(options, secure) : null;
    return socket ?? original.apply(this, args);
  };
  Object.defineProperty(prototype, 'createConnection', { ...before, value: createConnection });
  return () => {
    active = false;
    const now = Object.getOwnPropertyDescriptor(prototype, 'createConnection');
    if (now?.value === createConnection) Object.defineProperty(prototype, 'createConnection', before);
  };
}

/** Agents ask with options. Who calls it by hand in another way, with a port and a host, means no service. */
function isOptions(value: unknown): value is ConnectOptions {
  return typeof value === 'object' && value !== null;
}
