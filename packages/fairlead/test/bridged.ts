/** @module Brings clients onto the bridge for one test, and takes them off it before anybody looks what is left. */
import { afterEach } from 'vitest';
import type { Told } from './world.js';

/** To be called after `worlds()`, whose end must come later. */
export function bridged(): (client: Told) => Told {
  const restore: (() => void)[] = [];
  afterEach(() => {
    for (const each of restore.splice(0)) each();
  });
  return (client) => {
    restore.push(client.installHttp());
    return client;
  };
}
