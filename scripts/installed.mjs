// An empty project into which the packed tarballs were installed: the nearest thing to a user's machine.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packAll } from './tarballs.mjs';

/**
 * Calls `work` with the folder of such a project, and removes it afterwards.
 * @template T
 * @param {string[]} extra further packages, as name@version
 * @param {(folder: string) => Promise<T> | T} work
 */
export async function withInstalled(extra, work) {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-installed-'));
  try {
    writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }\n');
    const tarballs = packAll(folder).map((tarball) => tarball.file);
    npm(['install', '--prefer-offline', '--no-package-lock', ...tarballs, ...extra], folder);
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string[]} args @param {string} cwd */
export function npm(args, cwd) {
  const quiet = ['--no-fund', '--no-audit', '--loglevel', 'error'];
  const { status, stdout, stderr } = spawnSync('npm', [...args, ...quiet], {
    cwd,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error(`npm ${args[0]} failed in ${cwd}:\n${stdout}${stderr}`);
}
