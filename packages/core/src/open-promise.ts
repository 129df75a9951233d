/**
 * @module A promise that somebody else settles, for what every request makes one of. An executor runs at once, so one
 * shared function can hand out what it is given: no closure, and no third object as `withResolvers` makes.
 */

/** What settles the promise that {@link openPromise} made last. To be taken at once. @internal */
export const ends: { resolve: (value: unknown) => void; reject: (error: unknown) => void } = {
  resolve: () => {},
  reject: () => {},
};

const take = (resolve: (value: unknown) => void, reject: (error: unknown) => void): void => {
  ends.resolve = resolve;
  ends.reject = reject;
};

/** Makes a promise; what settles it is in {@link ends}. @internal */
export function openPromise<T>(): Promise<T> {
  return new Promise<T>(take as never);
}
