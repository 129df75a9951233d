/** @module fairlead/register */
export {};
