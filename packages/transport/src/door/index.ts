/** @module Stacks of services as an undici dispatcher. */
export { createAgent, createDoor, type DoorOptions } from './door.js';
export { explanationOf } from './explanation.js';
export { installDoor } from './global.js';
