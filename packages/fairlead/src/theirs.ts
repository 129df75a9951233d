/** @module What an application has from its framework, whose types are not imported here. */

/**
 * A request or a response as the application's framework types it. With a type of ours in its place, or none, functions
 * written for the original library would not fit.
 */
// biome-ignore lint/suspicious/noExplicitAny: functions of all frameworks' requests fit, and so do those without types.
export type Theirs = any;
