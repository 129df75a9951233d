/** @module What a test of Fairlead, or of something made with it, needs. */
export * from './prng.js';
export * from './virtual-clock.js';
