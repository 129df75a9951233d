/**
 * @module From a URL to a service and a path. The common form, `http://name/path` in plain characters, is recognised
 * character by character, because a `URL` object costs more than the rest of a call's beginning; everything else goes
 * through `URL`, so that there is one opinion only on what a URL means.
 */

/** Where a URL leads. */
export interface Target {
  /** Host with port, as `URL.host`: in lower case, a default port left out. */
  readonly host: string;
  /** Path and query, as they are sent. */
  readonly path: string;
  /** The whole URL in its normal form, without fragment. */
  readonly href: string;
}

const prefix = 'http://';
const hostChar = 1;
const labelStart = 2;
const pathChar = 4;

/** What each ASCII character may be in a URL that `URL` would leave as it is. */
const kinds: Uint8Array = new Uint8Array(128);
for (const char of 'abcdefghijklmnopqrstuvwxyz') kinds[char.charCodeAt(0)] = hostChar | labelStart | pathChar;
for (const char of '0123456789-.') kinds[char.charCodeAt(0)] = hostChar | pathChar;
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ_~/?=&,:@!$()*+;') kinds[char.charCodeAt(0)]! |= pathChar;

/**
 * Parses an absolute URL; null if its scheme is neither http nor https.
 * @throws TypeError if it is no URL, or has credentials in it
 */
export function parseTarget(url: string): Target | null {
  return plainTarget(url) ?? parsedTarget(url);
}

/** The target of a URL in its plainest form, or null for every other, and for every one in doubt. */
function plainTarget(url: string): Target | null {
  if (!url.startsWith(prefix)) return null;
  const end = hostEnd(url);
  if (end < 0) return null;
  for (let i = end, before = 0; i < url.length; i++) {
    const code = url.charCodeAt(i);
    if (code > 127 || ((kinds[code] as number) & pathChar) === 0) return null;
    // Dot segments are resolved, and an empty first segment is an authority to whoever resolves the path again.
    if (before === 0x2f && (code === 0x2e || code === 0x2f)) return null;
    before = code;
  }
  return { host: url.slice(prefix.length, end), path: url.slice(end), href: url };
}

/** Where the host ends, or -1 if it is not a plain name followed by a path. */
function hostEnd(url: string): number {
  let label = prefix.length;
  for (let i = label; i < url.length; i++) {
    const code = url.charCodeAt(i);
    if (code === 0x2f) {
      // A last label that begins with a digit may be a number, and the host then an IPv4 address in disguise.
      return i > label && ((kinds[url.charCodeAt(label)] as number) & labelStart) !== 0 ? i : -1;
    }
    if (code > 127 || ((kinds[code] as number) & hostChar) === 0) return -1;
    // `xn--` labels are checked by URL.
    if (code === 0x2d && url.charCodeAt(i - 1) === 0x2d) return -1;
    if (code === 0x2e) {
      if (i === label) return -1;
      label = i + 1;
    }
  }
  return -1;
}

function parsedTarget(text: string): Target | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new TypeError(`Failed to parse URL from ${text}`, { cause });
  }
  return targetOf(url);
}

/**
 * The target of a parsed URL; null if its scheme is neither http nor https.
 * @throws TypeError if there are credentials in it
 */
export function targetOf(url: URL): Target | null {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(`a URL with credentials in it cannot be fetched (its host is ${url.host})`);
  }
  // Not `pathname + search`, which loses a question mark with nothing behind it.
  const hash = url.href.indexOf('#');
  const href = hash < 0 ? url.href : url.href.slice(0, hash);
  return { host: url.host, path: href.slice(url.origin.length), href };
}

/**
 * A path that was put together from foreign parts, in normal form, if it leads to where it seems to lead.
 * @throws TypeError if it would leave its origin: `//evil`, `/\evil`, `@evil`, `http://evil`, the same behind tabs, and a
 *   path that becomes one of these when dot segments are resolved
 */
export function pathWithin(path: string): string {
  let url: URL | null = null;
  // URL drops tabs and line breaks, wherever they are, before it looks at anything.
  if (/^\/(?![/\\])/.test(path.replace(/[\t\n\r]/g, ''))) url = URL.parse(path, 'http://origin.invalid');
  if (url === null || url.host !== 'origin.invalid' || url.username !== '' || !isOriginForm(url.pathname)) {
    throw new TypeError(`${JSON.stringify(path)} is not a path within a service: it must begin with one '/'`);
  }
  return url.pathname + url.search;
}

/**
 * Whether `path` is a path, and cannot be taken for anything else: `//host` and `/\host` name another authority to
 * whoever resolves them again.
 */
export function isOriginForm(path: string): boolean {
  const second = path.charCodeAt(1);
  return path.charCodeAt(0) === 0x2f && second !== 0x2f && second !== 0x5c;
}
