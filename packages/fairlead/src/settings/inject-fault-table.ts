/** @module The rows of {@link ServiceSettings} for faults on purpose. */
import { injectFaultDefaults } from '@fairlead/policies';
import { policyMode } from './policy-table.js';
import type { ServiceSettings } from './service-settings.js';
import { setting, type Table } from './setting.js';
import { boolean, duration, integer, orOff, ratio, text } from './values.js';

/** The settings of faults on purpose, which stand apart: they are for trials. */
export const injectFaultTable: Table<Pick<ServiceSettings, 'injectFault'>> = {
  injectFault: setting(boolean(), false, 'Whether to put faults in the way of attempts on purpose.'),
  'injectFault.mode': setting(
    policyMode(),
    'on',
    'Whether it acts; in `shadow` it counts the attempts that it would have hit.',
  ),
  'injectFault.ratio': setting(ratio(), injectFaultDefaults.ratio, 'Share of attempts that are hit.'),
  'injectFault.header': setting(
    orOff(
      text('the name of a header in lower case', 'x-chaos', (value) => /^[!-@[-~]+$/.test(value)),
      null,
    ),
    null,
    'Only calls with this request header, whatever its value.',
  ),
  'injectFault.latencyMs': setting(duration(), injectFaultDefaults.latencyMs, 'Added before an attempt is sent.'),
  'injectFault.abortStatus': setting(
    orOff(integer(200, 599), null),
    injectFaultDefaults.abortStatus,
    'Answered with this status instead of being sent.',
  ),
  'injectFault.reset': setting(
    boolean(),
    injectFaultDefaults.reset,
    'Whether they fail as if the connection had been reset; not beside `abortStatus`.',
  ),
  'injectFault.slowBodyMs': setting(
    duration(),
    injectFaultDefaults.slowBodyMs,
    "Added before each piece of a reply's body.",
  ),
  'injectFault.force': setting(
    boolean(),
    injectFaultDefaults.force,
    'Also where `NODE_ENV` is `production`, which is refused otherwise.',
  ),
};
