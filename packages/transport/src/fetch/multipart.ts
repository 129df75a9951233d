/**
 * @module A form as `multipart/form-data` (RFC 7578, in the form that the HTML and Fetch standards fix). The result is one
 * `Blob` that refers to the files rather than copying them, so the form can be sent again and its length is known.
 */
import type { Clock } from '@fairlead/core';

/** Encodes `form`; the boundary is in the type of the result. */
export function encodeForm(form: FormData, clock: Clock): Blob {
  const random = new Uint8Array(16);
  clock.randomFill(random);
  const boundary = `----formdata-fairlead-${Buffer.from(random).toString('hex')}`;
  const parts: (string | Blob)[] = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(lines(name))}"`;
    if (typeof value === 'string') parts.push(`${head}\r\n\r\n${lines(value)}\r\n`);
    else {
      const type = value.type || 'application/octet-stream';
      parts.push(`${head}; filename="${quoted(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`, value, '\r\n');
    }
  }
  parts.push(`--${boundary}--\r\n`);
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` });
}

const lines = (text: string): string => text.replace(/\r?\n|\r/g, '\r\n');
const quoted = (text: string): string => text.replace(/\n/g, '%0A').replace(/\r/g, '%0D').replace(/"/g, '%22');
