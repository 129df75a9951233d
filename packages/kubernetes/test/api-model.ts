/**
 * @module An API server for tests that knows one resource, EndpointSlices, as one would describe it: objects, versions,
 * a history that is forgotten from its old end, lists in pages and watches that begin at a version. It knows nothing of
 * sockets or of time; both are handed to it, so that the same server runs in virtual time and over real connections.
 */

/** One endpoint of a slice, in the words of the API. */
export interface ModelEndpoint {
  readonly addresses: readonly string[];
  readonly conditions?: {
    readonly ready?: boolean;
    readonly serving?: boolean;
    readonly terminating?: boolean;
  } | null;
  readonly nodeName?: string;
  readonly zone?: string;
  readonly targetRef?: object;
}

/** What a slice is made of. */
export interface ModelSlice {
  readonly service: string;
  readonly name: string;
  /** Default `prod`. */
  readonly namespace?: string;
  /** Default `IPv4`. */
  readonly addressType?: 'IPv4' | 'IPv6';
  readonly endpoints: readonly ModelEndpoint[];
  /** Beside that of the Service. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Default one port, `http`, 8080. */
  readonly ports?: readonly { readonly name: string; readonly port: number; readonly protocol?: string }[];
}

/** Whoever sits at the other end of one request. */
export interface Wire {
  /** What is written arrives before anything else can happen, a break neither. */
  readonly prompt?: boolean;
  head(status: number, headers: Readonly<Record<string, string>>): void;
  write(text: string): void;
  end(): void;
  /** The connection breaks. */
  reset(): void;
}

/** Time, from whoever owns it; gives what takes it back. */
export type After = (ms: number, run: () => void) => () => void;

/** Whether the server can begin a watch with what there is (`sendInitialEvents`), refuses it, or has never heard of it. */
export type InitialEvents = 'known' | 'refused' | 'unknown';

interface Stored {
  readonly slice: ModelSlice;
  readonly version: number;
  readonly json: string;
}

interface HistoryEvent {
  readonly version: number;
  /** Of the slice. */
  readonly name: string;
  readonly key: string;
  readonly line: string;
}

/** One open watch. */
interface Watcher {
  readonly key: string;
  readonly wire: Wire;
  readonly bookmarks: boolean;
  /** Events up to here are not for it: it has had them, or claims to. */
  from: number;
  readonly cancel: (() => void)[];
}

const json: Readonly<Record<string, string>> = { 'content-type': 'application/json' };
const plain: Readonly<Record<string, string>> = { 'content-type': 'text/plain; charset=utf-8' };

/** Bookmarks come about 2 s before a watch ends, if anything has happened. */
const bookmarkBeforeMs = 2_000;

export class ApiModel {
  version = 1_000;
  /** Versions before this one are forgotten. */
  oldest = 1_000;
  initialEvents: InitialEvents = 'known';
  /** While it is so, nothing is answered and nothing is sent, as with a process that is stopped. */
  frozen = false;
  /** Answers to the next requests instead of the true ones: status and plain body. */
  readonly refusals: { readonly status: number; readonly headers?: Record<string, string>; readonly body: string }[] =
    [];
  /** How often each kind of request has come. */
  readonly counts: { list: number; watch: number; other: number } = { list: 0, watch: 0, other: 0 };
  /** How many events of the past are kept. */
  historyLimit = 10_000;
  readonly #objects: Map<string, Stored> = new Map();
  readonly #watchers: Set<Watcher> = new Set();
  readonly #snapshots: Map<string, readonly Stored[]> = new Map();
  #history: HistoryEvent[] = [];
  /** What was to be sent, or answered, while the server was frozen. */
  #held: (() => void)[] = [];

  /** Open watches. */
  get watching(): number {
    return this.#watchers.size;
  }

  /** Slices of a Service as they are now. */
  slicesOf(service: string, namespace = 'prod'): readonly ModelSlice[] {
    return this.#of(`${namespace}/${service}`).map(({ slice }) => slice);
  }

  /** Creates or changes a slice. */
  put(slice: ModelSlice): void {
    const id = `${slice.namespace ?? 'prod'}/${slice.name}`;
    const type = this.#objects.has(id) ? 'MODIFIED' : 'ADDED';
    const stored = { slice, version: ++this.version, json: objectOf(slice, this.version) };
    this.#objects.set(id, stored);
    this.#commit(type, slice, stored.json);
  }

  /** Deletes a slice, if it is there. */
  delete(name: string, namespace = 'prod'): void {
    const id = `${namespace}/${name}`;
    const stored = this.#objects.get(id);
    if (stored === undefined) return;
    this.#objects.delete(id);
    // The event carries the last state, with the version of the deletion.
    this.#commit('DELETED', stored.slice, objectOf(stored.slice, ++this.version));
  }

  /** Something else happens in the cluster: versions pass, and watches hear of it by bookmarks only. */
  elsewhere(versions = 1): void {
    this.version += versions;
  }

  /** Forgets everything that happened before now: who was away hears 410. */
  compact(): void {
    this.oldest = this.version;
    this.#history = [];
    this.#snapshots.clear();
  }

  /** The store is restored from a backup: what is there stays, and versions begin further back. */
  restore(back: number): void {
    this.version = Math.max(1, this.version - back);
    this.compact();
  }

  /** Everyone who watches gets a bookmark. */
  bookmark(): void {
    for (const watcher of this.#watchers) this.#bookmark(watcher);
  }

  /** Ends every watch: cleanly, with a break, or with an ERROR event of this code. */
  endWatches(how: 'end' | 'reset' | number): void {
    for (const watcher of [...this.#watchers]) {
      this.#drop(watcher);
      if (typeof how === 'number')
        watcher.wire.write(`{"type":"ERROR","object":${status(how, 'as the test wants')}}\n`);
      if (how === 'reset') watcher.wire.reset();
      else watcher.wire.end();
    }
  }

  /**
   * What happens in `run` reaches those who watch out of order, though in order for each slice. No server does that, and
   * a break in the middle would lose events for good; so only those wires get it that cannot break there.
   */
  outOfOrder(run: () => void): void {
    const begin = this.#history.length;
    const late = [...this.#watchers].filter(({ wire }) => wire.prompt === true && !this.frozen);
    for (const watcher of late) this.#watchers.delete(watcher);
    run();
    const events = this.#history.slice(begin);
    const names = [...new Set(events.map(({ name }) => name))].reverse();
    for (const watcher of late) {
      this.#watchers.add(watcher);
      const own = events.filter(({ key, version }) => key === watcher.key && version > watcher.from);
      this.#send(
        watcher,
        names.flatMap((name) => own.filter((each) => each.name === name).map(({ line }) => line)).join(''),
      );
      // The last word is the highest version: whoever resumes has seen it all.
      if (own.length > 0) this.#send(watcher, bookmarkLine(this.version, false));
    }
  }

  /** Every open watch hears the last `count` events of its Service again, oldest first. */
  repeat(count: number): void {
    for (const watcher of this.#watchers) {
      const own = this.#history.filter(({ key }) => key === watcher.key).slice(-count);
      this.#send(watcher, own.map(({ line }) => line).join(''));
    }
  }

  /** Lets the server run on: everything that waited happens now, in order. */
  thaw(): void {
    this.frozen = false;
    for (const run of this.#held.splice(0)) run();
  }

  /** Forgets who was connected, without a word to them: the node is gone, and nothing will ever come. */
  lose(): void {
    for (const watcher of [...this.#watchers]) this.#drop(watcher);
    this.#held = [];
  }

  /** Answers a GET of `path`. Call what it gives when the client has gone. */
  request(path: string, wire: Wire, after: After): () => void {
    let watcher: Watcher | null = null;
    let gone = false;
    const answer = (): void => {
      if (!gone) watcher = this.#answer(new URL(path, 'http://api.invalid'), wire, after);
    };
    if (this.frozen) this.#held.push(answer);
    else answer();
    return () => {
      gone = true;
      if (watcher !== null) this.#drop(watcher);
    };
  }

  #answer({ pathname, searchParams: query }: URL, wire: Wire, after: After): Watcher | null {
    const match = /^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/([^/]+)\/endpointslices$/.exec(pathname);
    const service = /^kubernetes\.io\/service-name=([^,]+)$/.exec(query.get('labelSelector') ?? '')?.[1];
    const watch = /^(true|1)$/.test(query.get('watch') ?? '');
    this.counts[match === null ? 'other' : watch ? 'watch' : 'list']++;
    const refusal = this.refusals.shift();
    if (refusal !== undefined) say(wire, refusal.status, refusal.body, { ...plain, ...refusal.headers });
    else if (match === null || service === undefined) say(wire, 404, '404 page not found\n', plain);
    else if (watch) return this.#watch(`${match[1]}/${service}`, query, wire, after);
    else this.#list(`${match[1]}/${service}`, query, wire);
    return null;
  }

  #list(key: string, query: URLSearchParams, wire: Wire): void {
    const limit = query.get('resourceVersion') === '0' ? 0 : Number(query.get('limit') ?? 0);
    const token = query.get('continue');
    const [given, start] = (token ?? `${this.version}/0`).split('/').map(Number) as [number, number];
    const id = `${given} ${key}`;
    // What a list began with is what it ends with, however long it takes; unless it is forgotten meanwhile.
    const items = token === null ? this.#of(key) : this.#snapshots.get(id);
    if (items === undefined || given < this.oldest) {
      say(wire, 410, status(410, 'The provided continue parameter is too old'), json);
      return;
    }
    const end = limit === 0 ? items.length : start + limit;
    const more = end < items.length;
    if (more) this.#snapshots.set(id, items);
    else this.#snapshots.delete(id);
    const metadata = JSON.stringify({ resourceVersion: `${given}`, ...(more ? { continue: `${given}/${end}` } : {}) });
    const page = items
      .slice(start, end)
      .map((each) => each.json.replace('"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1",', ''));
    const head = `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":${metadata},"items":[`;
    say(wire, 200, `${head}${page.join(',')}]}\n`, json);
  }

  #watch(key: string, query: URLSearchParams, wire: Wire, after: After): Watcher | null {
    const asked = query.get('resourceVersion') ?? '';
    const wanted = query.get('sendInitialEvents') === 'true';
    const bookmarks = query.get('allowWatchBookmarks') === 'true';
    if (wanted && this.initialEvents === 'refused') {
      say(wire, 422, status(422, 'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch'), json);
      return null;
    }
    const from = Number(asked);
    const fresh = wanted || asked === '' || asked === '0';
    wire.head(200, json);
    if (!fresh && from < this.oldest) {
      wire.write(`{"type":"ERROR","object":${status(410, `too old resource version: ${from} (${this.oldest})`)}}\n`);
      wire.end();
      return null;
    }
    const watcher: Watcher = { key, wire, bookmarks, from: fresh ? this.version : from, cancel: [] };
    this.#watchers.add(watcher);
    if (fresh) {
      let text = this.#of(key)
        .map(({ json: object }) => line('ADDED', object))
        .join('');
      if (bookmarks && this.initialEvents !== 'unknown') text += bookmarkLine(this.version, true);
      this.#send(watcher, text);
    } else {
      const missed = this.#history.filter((event) => event.key === key && event.version > from);
      this.#send(watcher, missed.map((event) => event.line).join(''));
      watcher.from = Math.max(from, this.version);
    }
    const ms = Number(query.get('timeoutSeconds') ?? 1_800) * 1_000;
    if (ms > bookmarkBeforeMs) {
      const since = this.version;
      watcher.cancel.push(after(ms - bookmarkBeforeMs, () => this.version > since && this.#bookmark(watcher)));
    }
    watcher.cancel.push(after(Math.max(ms, 5), () => this.#timeUp(watcher)));
    return watcher;
  }

  #timeUp(watcher: Watcher): void {
    if (!this.#watchers.has(watcher)) return;
    if (this.frozen) {
      this.#held.push(() => this.#timeUp(watcher));
      return;
    }
    this.#drop(watcher);
    watcher.wire.end();
  }

  #commit(type: string, slice: ModelSlice, object: string): void {
    const key = keyOf(slice);
    const event = { version: this.version, name: slice.name, key, line: line(type, object) };
    this.#history.push(event);
    if (this.#history.length > 2 * this.historyLimit) {
      this.#history = this.#history.slice(-this.historyLimit);
      this.oldest = (this.#history[0] as HistoryEvent).version - 1;
    }
    for (const watcher of this.#watchers) {
      // Who claims to come from the future hears nothing until the future is there (kubernetes/kubernetes#107457).
      if (watcher.key === key && event.version > watcher.from) this.#send(watcher, event.line);
    }
  }

  #bookmark(watcher: Watcher): void {
    if (watcher.bookmarks && this.version >= watcher.from) this.#send(watcher, bookmarkLine(this.version, false));
  }

  #send(watcher: Watcher, text: string): void {
    if (text === '') return;
    if (this.frozen) this.#held.push(() => this.#watchers.has(watcher) && watcher.wire.write(text));
    else watcher.wire.write(text);
  }

  #drop(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    for (const cancel of watcher.cancel.splice(0)) cancel();
  }

  #of(key: string): readonly Stored[] {
    return [...this.#objects.values()].filter(({ slice }) => keyOf(slice) === key);
  }
}

function keyOf({ namespace = 'prod', service }: ModelSlice): string {
  return `${namespace}/${service}`;
}

/** The object as the API server writes it: lists that are empty are null. */
function objectOf(slice: ModelSlice, version: number): string {
  const { namespace = 'prod', service, name, addressType = 'IPv4', endpoints } = slice;
  const ports = slice.ports ?? [{ name: 'http', port: 8080, protocol: 'TCP' }];
  return JSON.stringify({
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: {
      name,
      namespace,
      resourceVersion: `${version}`,
      labels: { 'kubernetes.io/service-name': service, ...slice.labels },
    },
    addressType,
    endpoints: endpoints.length === 0 ? null : endpoints,
    ports: endpoints.length === 0 ? null : ports,
  });
}

function line(type: string, object: string): string {
  return `{"type":"${type}","object":${object}}\n`;
}

function bookmarkLine(version: number, end: boolean): string {
  const annotations = end ? ',"annotations":{"k8s.io/initial-events-end":"true"}' : '';
  return `{"type":"BOOKMARK","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"${version}"${annotations}},"addressType":"","endpoints":null,"ports":null}}\n`;
}

/** A Status object. */
export function status(code: number, message: string): string {
  const reason = { 403: 'Forbidden', 410: 'Expired', 422: 'Invalid', 504: 'Timeout' }[code] ?? 'InternalError';
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code });
}

function say(wire: Wire, code: number, body: string, headers: Readonly<Record<string, string>>): void {
  wire.head(code, headers);
  wire.write(body);
  wire.end();
}
