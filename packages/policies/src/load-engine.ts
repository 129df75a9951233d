/**
 * @module bottleneck and opossum are loaded by the layers that ask for them, and by nobody else: they are most of what this
 * package would cost a process that starts.
 *
 * When a layer is made, and synchronously: whoever sets up a stack hears at once that an engine is missing, and no call waits
 * for a file. So a bundler does not see them, either; whoever bundles and uses them keeps them beside the bundle.
 */
import { createRequire } from 'node:module';
import { ConfigError } from '@fairlead/core';
import type Bottleneck from 'bottleneck';
import type CircuitBreaker from 'opossum';

/** @throws ConfigError if it is not installed */
export function loadBottleneck(): typeof Bottleneck {
  return load('bottleneck', 'pace') as typeof Bottleneck;
}

/** @throws ConfigError if it is not installed */
export function loadOpossum(): typeof CircuitBreaker {
  return load('opossum', 'breaker.engine') as typeof CircuitBreaker;
}

/** @internal Exported for its test. */
export function load(name: string, option: string): unknown {
  // In a bundle of CommonJS there is no URL; engines are then looked for from where the process was started.
  const from: string | undefined = import.meta.url;
  try {
    return createRequire(from ?? `${process.cwd()}/`)(name);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'MODULE_NOT_FOUND') throw error;
    throw new ConfigError([{ name: option, expected: `${name} to be installed, and kept out of a bundle` }]);
  }
}
