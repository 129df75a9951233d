/** @module @fairlead/policies */
export {};
