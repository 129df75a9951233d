/** @module @fairlead/balance */
export {};
