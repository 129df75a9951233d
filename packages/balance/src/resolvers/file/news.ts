/** @module What a document says: worked out when it is new, told whenever it is read. Its troubles are told once. */
import { createHash } from 'node:crypto';
import type { Endpoint, ResolverUpdate } from '@fairlead/core';
import { readDocument } from './document.js';

/** Tells endpoints when they have changed, and what is wrong when that has. */
export class News {
  readonly #where: string;
  readonly #service: string | null;
  readonly #tell: (update: ResolverUpdate) => void;
  /** Of the content that was told last; null if that was an error. A digest, since the content may be long. */
  #told: string | null = null;
  #trouble: string | null = null;
  #endpoints: readonly Endpoint[] = [];

  /**
   * @param where the document comes from, for messages
   * @param service which of several services is wanted
   */
  constructor(where: string, service: string | null, tell: (update: ResolverUpdate) => void) {
    this.#where = where;
    this.#service = service;
    this.#tell = tell;
  }

  /** The document as it is now. Whether there is nothing wrong with it. */
  read(bytes: Uint8Array): boolean {
    const digest = createHash('sha256').update(bytes).digest('base64');
    if (digest === this.#told) {
      // A sign of life: whoever asks how old it is should know that it is true still.
      this.#tell({ endpoints: this.#endpoints });
      return true;
    }
    try {
      this.#endpoints = readDocument(bytes, this.#service, this.#where);
      this.#told = digest;
      this.#trouble = null;
      this.#tell({ endpoints: this.#endpoints });
      return true;
    } catch (error) {
      this.failed(error as Error);
      return false;
    }
  }

  /** It could not be read. The same trouble again is no news. */
  failed(error: Error): void {
    // What was told before holds, but has to be told again when the trouble is over.
    this.#told = null;
    if (error.message === this.#trouble) return;
    this.#trouble = error.message;
    this.#tell({ error });
  }
}
