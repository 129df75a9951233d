/** @module fairlead/express */
export {};
