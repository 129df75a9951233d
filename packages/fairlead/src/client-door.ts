/** @module A client's dispatcher, made when it is first asked for: most clients only fetch. */
import { createAgent, createDoor, type Dispatcher, type DoorOptions } from '@fairlead/transport';

/** What {@link ClientDoor} needs to know. */
export interface ClientDoorOptions extends Pick<DoorOptions, 'route' | 'names'> {
  /** Whether to send to hosts that are no services. Over connections of its own: the global dispatcher may be ours. */
  readonly othersToo: boolean;
}

/** Node's own, before anybody, a client of ours for instance, stands in its place. */
const builtInFetch: typeof fetch = globalThis.fetch;

/** The door, and what it needs for other hosts. */
export class ClientDoor {
  readonly #options: ClientDoorOptions;
  #agent: Dispatcher | null = null;
  #door: Dispatcher | null = null;

  constructor(options: ClientDoorOptions) {
    this.#options = options;
  }

  get dispatcher(): Dispatcher {
    if (this.#door === null) {
      const { othersToo, ...options } = this.#options;
      this.#agent = othersToo ? createAgent() : null;
      this.#door = createDoor({ ...options, fallback: this.#agent });
    }
    return this.#door;
  }

  /** The built-in fetch onto the same stacks, for what only it can do. */
  readonly fetch: typeof fetch = (input, init) =>
    builtInFetch(input, { ...init, dispatcher: this.dispatcher } as never);

  /** Refuses what comes from now on, and closes what is idle. What is under way ends with the services, or in its own time. */
  close(): void {
    // With callbacks: without one, a second close would be a rejection.
    this.dispatcher.close(() => {});
    this.#agent?.close(() => {});
  }
}
