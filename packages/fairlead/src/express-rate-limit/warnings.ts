/** @module Warns, once each, of settings that make a limit useless, under the names that `validate` knows them by. */
import type { Options, Request } from './options.js';
import { defaults } from './options.js';

/** The warnings of one limit. */
export class Warnings {
  readonly #options: Options;
  readonly #told = new Set<string>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Options that nobody reads. */
  knownOptions(given: object): void {
    const known = [...Object.keys(defaults), 'max', 'headers'];
    const unknown = Object.keys(given).filter((name) => !known.includes(name));
    if (unknown.length > 0) this.#tell('knownOptions', `unknown options: ${unknown.join(', ')}`);
  }

  /** What is wrong with going by the address of this request. */
  address(request: Request): void {
    const { ip, headers, socket } = request;
    const trusts = request.app?.get('trust proxy');
    if (ip === undefined) this.#tell('ip', 'request.ip is undefined, so all such requests count as one caller');
    if (trusts === true) {
      this.#tell('trustProxy', '"trust proxy" is true: every client can choose the address by which it is limited');
    }
    if (trusts === false && headers['x-forwarded-for'] !== undefined) {
      this.#tell(
        'xForwardedForHeader',
        'X-Forwarded-For is there, but "trust proxy" is not set: is a proxy the caller?',
      );
    }
    if (headers.forwarded !== undefined && ip === socket.remoteAddress) {
      this.#tell('forwardedHeader', 'Forwarded is there, which express does not read; see keyGenerator');
    }
  }

  /** A limit of none. */
  limit(limit: number): void {
    if (limit === 0) this.#tell('limit', 'a limit of 0 refuses every request');
  }

  #tell(name: string, text: string): void {
    if (this.#told.has(name)) return;
    this.#told.add(name);
    const { validate, logger } = this.#options;
    const wanted = typeof validate === 'boolean' ? validate : (validate[name] ?? validate.default ?? true);
    if (wanted) logger.error(new Error(`rate limit: ${text}; to silence this: validate.${name} = false`));
  }
}
