/** @module @fairlead/transport */
export {};
