/** @module @fairlead/server */
export {};
