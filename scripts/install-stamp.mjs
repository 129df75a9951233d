// Remembers which lockfile node_modules was made from. Runs after every install; run.mjs compares.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules/.cache/fairlead/installed-lock');

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
}

export function installIsCurrent() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash();
}

export function writeInstallStamp() {
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lockHash());
}

// The lockfile is missing only during the very first install, which has nothing to remember yet.
if (process.argv[1] === fileURLToPath(import.meta.url) && existsSync(join(root, 'package-lock.json'))) {
  writeInstallStamp();
}
