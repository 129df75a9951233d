/** @module Settings: one table for options in code, environment variables, defaults and the reference page. */
export * from './client-settings.js';
export type { Rate, Source } from './compound-values.js';
export { type Environment, serviceName, variableName } from './environment.js';
export * from './inbound-settings.js';
export type { CallerKeySetting, LimitSetting } from './limit-values.js';
export type { Resolved } from './merge.js';
export * from './policy-settings.js';
export * from './resolve.js';
export * from './service-settings.js';
export type { OptionsOf } from './setting.js';
