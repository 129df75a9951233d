/** @module Worlds and servers of one test file, which end with the test that made them, when nothing is under way any more. */
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach } from 'vitest';
import { type World, type WorldOptions, world } from './door.js';
import { httpServer, rawServer, type TestServer, until } from './servers.js';

export interface DoorSite {
  /** A door over some servers. */
  over(list: readonly Pick<TestServer, 'endpoint'>[], options?: WorldOptions): World;
  http(listener: RequestListener): Promise<TestServer>;
  raw(onRequest: (socket: Socket, head: string, n: number) => void): Promise<TestServer>;
}

/** Call it once, at the top of a test file. */
export function doorSite(): DoorSite {
  const worlds: World[] = [];
  const servers: TestServer[] = [];
  afterEach(async () => {
    for (const each of worlds.splice(0)) {
      await until(() => each.busy === 0);
      await each.close();
    }
    for (const server of servers.splice(0)) await server.close();
  });
  const kept = async (making: Promise<TestServer>): Promise<TestServer> => {
    const server = await making;
    servers.push(server);
    return server;
  };
  return {
    over(list, options) {
      const endpoints = list.map(({ endpoint }) => endpoint);
      const made = world(endpoints, options);
      worlds.push(made);
      return made;
    },
    http: (listener) => kept(httpServer(listener)),
    raw: (onRequest) => kept(rawServer(onRequest)),
  };
}
