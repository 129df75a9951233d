/** @module A token that somebody else keeps fresh in a file. */
import { readFileSync } from 'node:fs';

/**
 * The token in `file`. Synchronous, since it is a small file, in memory where the kubelet keeps it, read a few times in an
 * hour.
 * @throws Error if it cannot be read, or holds anything that could not go into a header; never with its content
 */
export function readToken(file: string): string {
  return soundToken(readFileSync(file, 'utf8').trim(), file);
}

/** `token`, if it can go into a header. It is a secret: no message shows it. @throws Error that names `from` */
export function soundToken(token: string, from: string): string {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error(`there is no token in ${from}`);
  return token;
}
