/** @module @fairlead/kubernetes */
export {};
