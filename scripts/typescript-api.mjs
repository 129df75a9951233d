// dependency-cruiser reads TypeScript through the compiler API, which TypeScript 7 does not have. api-extractor brings
// its own older compiler; this hook lends that one to dependency-cruiser. Import this before dependency-cruiser.
import { createRequire, registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';

const lender = createRequire(createRequire(import.meta.url).resolve('@microsoft/api-extractor/package.json'));

registerHooks({
  resolve(specifier, context, next) {
    const asked = specifier === 'typescript' || specifier === 'typescript/package.json';
    const byCruiser = /node_modules[\\/]dependency-cruiser[\\/]/.test(context.parentURL ?? '');
    if (!asked || !byCruiser) return next(specifier, context);
    return { url: pathToFileURL(lender.resolve(specifier)).href, shortCircuit: true };
  },
});
