/** @module fairlead */
export {};
