/** @module @fairlead/redis */
export {};
