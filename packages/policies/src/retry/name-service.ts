/** @module Errors that a scope makes do not know whose they are. */
import type { FairleadError } from '@fairlead/core';

/** Fills in the service of an error that has none. Gives the message, which begins with the service. */
export function nameService(error: FairleadError, service: string): string {
  error.service ??= service;
  return error.message.startsWith(`${error.service}: `) ? error.message : `${error.service}: ${error.message}`;
}
