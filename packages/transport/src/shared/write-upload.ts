/** @module Writes a body that is read piece by piece to a stream of HTTP/2, no faster than that takes it. */
import type { ClientHttp2Stream } from 'node:http2';
import { parts } from '../door/parts.js';
import type { Upload } from '../upload.js';

/**
 * Writes `body` and ends the stream; true if it got that far, false if the stream was given up meanwhile.
 * @param length how long it must be; NaN if nobody has said so
 * @param onPiece told of each piece as it is written
 * @throws what reading the body throws, and undici's error for another length
 */
export async function writeUpload(
  body: Upload,
  stream: ClientHttp2Stream,
  length: number,
  onPiece: (piece: Uint8Array) => void,
): Promise<boolean> {
  let left = length;
  for await (const piece of body) {
    if (stream.closed) return false;
    left -= piece.length;
    if (left < 0) throw new parts.errors.RequestContentLengthMismatchError();
    onPiece(piece);
    if (!stream.write(piece)) await drained(stream);
  }
  if (stream.closed) return false;
  if (left > 0) throw new parts.errors.RequestContentLengthMismatchError();
  stream.end();
  return true;
}

function drained(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
  });
}
