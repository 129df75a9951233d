/** @module An EndpointSlice (discovery.k8s.io/v1) as it comes from the API server. */

/** Lists are null when they are empty, and nothing can be relied upon to be there. */
export type Maybe<T> = T | null | undefined;

/** A port of a slice. */
export interface PortObject {
  readonly name?: Maybe<string>;
  readonly port?: Maybe<number>;
  readonly protocol?: Maybe<string>;
  readonly appProtocol?: Maybe<string>;
}

/** For whom an endpoint is meant. */
export interface HintsObject {
  readonly forZones?: Maybe<readonly { readonly name: string }[]>;
  readonly forNodes?: Maybe<readonly { readonly name: string }[]>;
}

/** An endpoint of a slice. */
export interface EndpointObject {
  readonly addresses?: Maybe<readonly string[]>;
  readonly conditions?: Maybe<{
    readonly ready?: Maybe<boolean>;
    readonly serving?: Maybe<boolean>;
    readonly terminating?: Maybe<boolean>;
  }>;
  readonly hints?: Maybe<HintsObject>;
  readonly nodeName?: Maybe<string>;
  readonly targetRef?: Maybe<{ readonly kind?: Maybe<string>; readonly name?: Maybe<string> }>;
  readonly zone?: Maybe<string>;
}

/** An EndpointSlice. */
export interface SliceObject {
  readonly metadata?: Maybe<{
    readonly name?: Maybe<string>;
    readonly resourceVersion?: Maybe<string>;
    readonly labels?: Maybe<Readonly<Record<string, string>>>;
    readonly annotations?: Maybe<Readonly<Record<string, string>>>;
  }>;
  readonly addressType?: Maybe<string>;
  readonly endpoints?: Maybe<readonly Maybe<EndpointObject>[]>;
  readonly ports?: Maybe<readonly PortObject[]>;
}
