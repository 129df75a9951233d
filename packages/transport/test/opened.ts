/** @module The servers and transports that one test opens. After it the transports are closed, and nothing may be left. */
import { countResources } from '@fairlead/testing';
import { afterEach, beforeEach, expect } from 'vitest';
import { createTransport, type Transport, type TransportOptions } from '../src/transport.js';
import type { TestServer } from './servers.js';

/** What the tests of a file open. */
export interface Opened {
  readonly servers: TestServer[];
  make(options?: Partial<TransportOptions>): Transport;
}

/** To be called once in a file, outside of any test. */
export function opened(): Opened {
  const servers: TestServer[] = [];
  const transports: Transport[] = [];
  let resources = countResources();

  beforeEach(() => {
    resources = countResources();
  });

  afterEach(async () => {
    for (const transport of transports.splice(0)) {
      await transport.close(0);
      expect(transport.stats().origins).toEqual([]);
    }
    for (const server of servers.splice(0)) {
      await server.quiet();
      await server.close();
    }
    await resources.check();
  });

  return {
    servers,
    make(options) {
      const transport = createTransport(options);
      transports.push(transport);
      return transport;
    },
  };
}
