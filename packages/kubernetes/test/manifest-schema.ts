/**
 * @module What the Kubernetes API (v1.36 reference: core/v1, apps/v1, rbac.authorization.k8s.io/v1) says of the fields that
 * our manifests use, as JSON Schema, written by hand. A field that is not here is an error, as with `--validate=strict`: who
 * adds one to a manifest looks it up first. CI asks a real API server besides.
 */
type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: 'string' };
const name: Schema = { type: 'string', pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$' };
const portName: Schema = { type: 'string', pattern: '^(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$' };
const port: Schema = { type: 'integer', minimum: 1, maximum: 65_535 };
const count: Schema = { type: 'integer', minimum: 0 };
const yes: Schema = { type: 'boolean' };
const labels: Schema = { type: 'object', additionalProperties: text };
const quantities: Schema = { type: 'object', additionalProperties: { type: 'string', pattern: '^\\d+(m|[KMG]i)?$' } };

function list(items: Schema): Schema {
  return { type: 'array', items, minItems: 1 };
}

function object(required: Readonly<Record<string, Schema>>, optional: Readonly<Record<string, Schema>> = {}): Schema {
  const properties = { ...required, ...optional };
  return { type: 'object', properties, required: Object.keys(required), additionalProperties: false };
}

function kind(apiVersion: string, is: string, rest: Readonly<Record<string, Schema>> = {}): Schema {
  const metadata = object({ name }, { namespace: name, labels });
  return object({ apiVersion: { const: apiVersion }, kind: { const: is }, metadata, ...rest });
}

const probe: Schema = object(
  { httpGet: object({ path: text, port: { anyOf: [port, portName] } }) },
  { periodSeconds: count, failureThreshold: count, timeoutSeconds: count, initialDelaySeconds: count },
);

const env: Schema = object(
  { name: text },
  { value: text, valueFrom: object({ fieldRef: object({ fieldPath: text }) }) },
);

const container: Schema = object(
  { name, image: text },
  {
    command: list(text),
    ports: list(object({ containerPort: port }, { name: portName })),
    env: list(env),
    readinessProbe: probe,
    livenessProbe: probe,
    resources: object({}, { requests: quantities, limits: quantities }),
    securityContext: object(
      {},
      {
        allowPrivilegeEscalation: yes,
        readOnlyRootFilesystem: yes,
        runAsNonRoot: yes,
        capabilities: object({ drop: list(text) }),
      },
    ),
  },
);

const rbac = 'rbac.authorization.k8s.io/v1';
const verbs: Schema = list({ enum: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'] });

/** By kind. */
export const schemas: Readonly<Record<string, Schema>> = {
  Kustomization: object({
    apiVersion: { const: 'kustomize.config.k8s.io/v1beta1' },
    kind: { const: 'Kustomization' },
    resources: list(text),
  }),
  ServiceAccount: kind('v1', 'ServiceAccount'),
  Role: kind(rbac, 'Role', { rules: list(object({ apiGroups: list(text), resources: list(text), verbs })) }),
  RoleBinding: kind(rbac, 'RoleBinding', {
    roleRef: object({
      apiGroup: { const: 'rbac.authorization.k8s.io' },
      kind: { enum: ['Role', 'ClusterRole'] },
      name,
    }),
    subjects: list(object({ kind: { enum: ['ServiceAccount', 'User', 'Group'] }, name }, { namespace: name })),
  }),
  Service: kind('v1', 'Service', {
    spec: object(
      { selector: labels, ports: list(object({ port }, { name: portName, targetPort: { anyOf: [port, portName] } })) },
      { clusterIP: text },
    ),
  }),
  Deployment: kind('apps/v1', 'Deployment', {
    spec: object(
      {
        selector: object({ matchLabels: labels }),
        template: object({
          metadata: object({ labels }),
          spec: object(
            { containers: list(container) },
            { serviceAccountName: name, terminationGracePeriodSeconds: count },
          ),
        }),
      },
      { replicas: count, strategy: object({ rollingUpdate: object({}, { maxSurge: count, maxUnavailable: count }) }) },
    ),
  }),
};
