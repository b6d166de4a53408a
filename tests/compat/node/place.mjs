// What the tests of examples/node/admin share: two directories as buckets, and programs that stand in for the binary.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const BINARY = process.env.STORSYNC_BIN;

export class Place {
  constructor(t) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'node-'));
    t.after(() => fs.rmSync(this.dir, { recursive: true, force: true }));
    for (const name of ['dev', 'prod']) fs.mkdirSync(path.join(this.dir, name));
  }

  at(...names) {
    return path.join(this.dir, ...names);
  }

  write(name, text) {
    fs.mkdirSync(path.dirname(this.at(name)), { recursive: true });
    fs.writeFileSync(this.at(name), text);
    return this.at(name);
  }

  read(name) {
    return fs.readFileSync(this.at(name), 'utf8');
  }

  has(name) {
    return fs.existsSync(this.at(name));
  }

  // Nothing of this machine's, so that no cloud is asked.
  env(more = {}) {
    const none = Object.fromEntries(Object.keys(process.env).filter(name => /^(AWS|STORSYNC|GOOGLE|NODE_ENV)/.test(name))
      .map(name => [name, undefined]));
    return {
      ...none, DEV_STORAGE_BUCKET: `file://${this.at('dev')}`, PROD_STORAGE_BUCKET: `file://${this.at('prod')}`,
      PUBLIC_OBJECT_SEARCH_PATHS: '/bucket/public', STORSYNC_STATUS_FILE: this.at('status.json'), ...more,
    };
  }

  options(more = {}) {
    return { binary: BINARY, env: this.env(), log: 'ignore', ...more };
  }

  // A program of a few lines.
  script(text) {
    const file = this.write(`script-${fs.readdirSync(this.dir).length}`, `#!/bin/sh\n${text}\n`);
    fs.chmodSync(file, 0o755);
    return file;
  }

  // One that leaves its arguments, each ended by a NUL, and then is the binary.
  recorder() {
    return this.script(`printf '%s\\0' "$@" >>'${this.at('words')}'; exec '${BINARY}' "$@"`);
  }

  words() {
    return this.has('words') ? this.read('words').split('\0').slice(0, -1) : null;
  }
}

export async function until(condition, what) {
  const end = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
