/** @module What a test of Fairlead, or of something made with it, needs. */
export * from './call-to.js';
export * from './leaks.js';
export * from './prng.js';
export * from './scripted.js';
export { type FailStep, type FailStepOptions, type HangStep, type Piece, type ReplyStep, type ReplyStepOptions, type Step } from './steps.js';
export { fail, hang, refuse, reply, reset } from './steps.js';
export * from './virtual-clock.js';
