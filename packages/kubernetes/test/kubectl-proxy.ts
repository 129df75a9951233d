/** @module The way to a real API server with whatever credentials kubectl has. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Handler } from '@fairlead/core';
import { httpHandler } from './http-handler.js';

/** `kubectl proxy`, running. */
export interface KubectlProxy {
  readonly origin: string;
  readonly handler: Handler;
  stop(): void;
}

/** @throws Error if kubectl is not there, or ends */
export async function startProxy(): Promise<KubectlProxy> {
  const child = spawn('kubectl', ['proxy', '--port=0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(() => {
    throw new Error('kubectl proxy has ended');
  });
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), ended])) as [string];
  ended.catch(() => {});
  return { origin: `http://${/[\d.]+:\d+/.exec(line)?.[0]}`, handler: httpHandler, stop: () => void child.kill() };
}
