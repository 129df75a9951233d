/**
 * @module `node --import fairlead/register`, or `--require`: services configured by environment variables alone, for an
 * application that knows only fetch. Loading it replaces `globalThis.fetch` and the global undici dispatcher; hosts that
 * are no service go to what was there, untouched. With `FAIRLEAD_INSTALL_HTTP=true` it brings clients of node:http and
 * node:https onto the same stacks. Does nothing where no service is configured, nor with `FAIRLEAD_DISABLED=true`, nor when
 * loaded twice.
 *
 * A configuration that is wrong ends the process before the application starts, with every problem on stderr.
 */
import { ConfigError } from '@fairlead/core';
import { createClient } from './client.js';
import { boolean } from './settings/values.js';

const once = Symbol.for('fairlead.registered.v1');
const here = globalThis as { [once]?: boolean };

const isSet = (variable: string): boolean => boolean().parse(process.env[variable]?.trim() ?? '') === true;

// Asked before anything else is read: a kill switch has to work whatever else is wrong.
const disabled = isSet('FAIRLEAD_DISABLED');

if (here[once] !== true && !disabled) {
  here[once] = true;
  try {
    // The built-in fetch as it is now: what is put in its place must not call itself.
    const client = createClient({ otherHosts: globalThis.fetch });
    if (client.services.length > 0) {
      client.installGlobal();
      if (isSet('FAIRLEAD_INSTALL_HTTP')) client.installHttp();
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`fairlead/register: ${error.message}\n`);
    process.exit(1);
  }
}
