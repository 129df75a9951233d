// The service of the gRPC peer: one unary method whose messages are JSON, so that no protobuf is measured.

/** @param {unknown} value */
const serialize = (value) => Buffer.from(JSON.stringify(value));
/** @param {Buffer} bytes */
const deserialize = (bytes) => JSON.parse(bytes.toString());

export const definition = {
  get: {
    path: '/Charges/Get',
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  },
};
