/** @module fairlead/node */
export {};
