/**
 * @module One of two sockets without a network between them: what is written to one is read from the other, handed over
 * and not copied, and no faster than it is read. As `stream.duplexPair` of newer versions of Node, with ends and manners
 * of sockets.
 */
import { Duplex } from 'node:stream';

/** One of the two. */
export class BridgeSocket extends Duplex {
  /** The other one. */
  peer: BridgeSocket | null = null;
  /** The write of the other side that waits until this one has been read. */
  #waiting: (() => void) | null = null;
  /** Whether this side knows that nothing more comes. */
  #ended = false;

  /** The next piece from the other side. Once nobody can read it any more it is dropped. */
  receive(chunk: Uint8Array, written: () => void): void {
    if (this.#ended || this.destroyed || this.push(chunk)) written();
    else this.#waiting = written;
  }

  /** The other side writes no more, or is gone: as after a FIN, what has arrived can still be read. */
  receiveEnd(): void {
    if (this.#ended || this.destroyed) return;
    this.#ended = true;
    this.push(null);
  }

  #release(): void {
    const written = this.#waiting;
    this.#waiting = null;
    written?.();
  }

  override _read(): void {
    this.#release();
  }

  override _write(chunk: Uint8Array, _: string, callback: () => void): void {
    this.peer?.receive(chunk, callback);
  }

  override _final(callback: () => void): void {
    this.peer?.receiveEnd();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#release();
    this.peer?.receiveEnd();
    callback(error);
  }

  /** Of node:net: ends, and is destroyed once everything is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }
}
