/** @module What a test of Fairlead, or of something made with it, needs. */
export * from './call-to.js';
export * from './leaks.js';
export * from './prng.js';
export * from './resolver-conformance.js';
export type * from './resolver-conformance-source.js';
export * from './scripted.js';
export {
  type FailStep,
  type FailStepOptions,
  fail,
  type HangStep,
  hang,
  type Piece,
  type ReplyStep,
  type ReplyStepOptions,
  refuse,
  reply,
  reset,
  type Step,
} from './steps.js';
export * from './virtual-clock.js';
