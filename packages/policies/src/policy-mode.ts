/** @module Whether a policy acts, only says what it would do, or is not there. */
import { type Check, checks } from '@fairlead/core';

/**
 * - `on`: acts
 * - `shadow`: changes nothing, learns as if it were on, and tells `policy.shadowed` whenever it would have acted
 * - `off`: is passed by; learns nothing, costs nothing
 */
export type PolicyMode = 'on' | 'shadow' | 'off';

/** The check of an option `mode`. */
export const isMode: Check<PolicyMode> = checks.oneOf('on', 'shadow', 'off');
