/** @module Lines out of bytes: a watch is one JSON object a line, cut into reads anywhere, also within a character. */
import { isAscii } from 'node:buffer';

/** Bytes of a line at most. An object cannot be larger than etcd takes (1.5 MB), and JSON may make some more of it. */
export const maxLineBytes = 8_388_608;

/**
 * Splits at the byte 0x0a, which UTF-8 has nowhere else, and decodes whole lines only: a character that two reads share
 * is never decoded in halves. Blank lines are left out.
 */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #maxBytes: number;
  /** Beginning of a line whose end has not come. */
  #parts: Uint8Array[] = [];
  #size = 0;

  constructor(onLine: (line: string) => void, maxBytes: number = maxLineBytes) {
    this.#onLine = onLine;
    this.#maxBytes = maxBytes;
  }

  /**
   * Takes the next read.
   * @throws RangeError if a line grows too long; whatever `onLine` throws
   */
  push(chunk: Uint8Array): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, start);
      const rest = chunk.subarray(start, end < 0 ? chunk.length : end);
      this.#size += rest.length;
      if (this.#size > this.#maxBytes) throw new RangeError(`a line is longer than ${this.#maxBytes} bytes`);
      if (rest.length > 0) this.#parts.push(rest);
      if (end < 0) return;
      this.#emit();
      start = end + 1;
    }
  }

  #emit(): void {
    const parts = this.#parts;
    const bytes = parts.length === 1 ? viewOf(parts[0] as Uint8Array) : Buffer.concat(parts, this.#size);
    this.#parts = [];
    this.#size = 0;
    // Nearly every line is ASCII, which is read faster as what it is.
    const line = (isAscii(bytes) ? bytes.toString('latin1') : bytes.toString('utf8')).trim();
    if (line !== '') this.#onLine(line);
  }
}

function viewOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
