// Sync, validation and status of storsync-init for an application in Node: thin wrappers of the binary, or of the admin endpoint
// of one that stays. No shell is involved, and what is asked for is never part of a command line that somebody takes apart.
// storage-sync-startup.d.ts says what each function takes and gives. docs/MIGRATION.md leads here from the TypeScript system
// of the same names.
import { spawn, spawnSync } from 'node:child_process';

import { runAtEndpoint, statusAtEndpoint } from './storage-sync-endpoint.js';
import { StorageSyncError, bad } from './storage-sync-error.js';

export { StorageSyncError };

const HOUR = 3600_000;
const STATUS_LIMIT = 10_000; // it reads a file
const OUTPUT_MAX = 4 << 20; // three lists of keys, 256 KiB each at most, and room
const GRACE = 5000; // told to end it takes two seconds at most
const STALE = 60_000; // a run that goes on says so every two seconds

// docs: README.md, "exit code". Those of runs that leave no document.
const EXIT_CODES = {
  64: 'the command line is wrong',
  69: 'a bucket is missing, or a service cannot be reached',
  75: 'timed out, or another replica is syncing',
  77: 'permission or credentials refused',
  78: 'the configuration is unusable',
};

// A word that looks like an option would be one, and one that does not look like a path would be a program to run.
function checkPath(path) {
  if (typeof path !== 'string' || !path.includes('/') || /^[-./]|\0/.test(path)) {
    throw bad(`not a path of the sync: ${JSON.stringify(path)}; it has a slash in it, as "public/css", and begins with none`);
  }
  return path;
}

function checkOption(word) {
  if (typeof word !== 'string' || !/^--[a-z][a-z-]*(=[^\0]*)?$/s.test(word)) {
    throw bad(`not an option: ${JSON.stringify(word)}; it is one word, as "--config=/etc/storsync.ini"`);
  }
  return word;
}

function list(name, value, check) {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw bad(`${name} is no array`);
  return value.map(check);
}

function limit(value, otherwise) {
  if (value === undefined) return otherwise;
  if (!Number.isSafeInteger(value) || value < 1 || value > 2 ** 31 - 1) throw bad('timeoutMs is no number of milliseconds');
  return value;
}

// What all calls share.
function settings({ binary = 'storsync-init', args, env, log = 'inherit' }) {
  if (typeof binary !== 'string' || binary === '' || binary.includes('\0')) throw bad('binary is no name of a file');
  if (log !== 'inherit' && log !== 'ignore') throw bad('log is neither "inherit" nor "ignore"');
  return { binary, words: list('args', args, checkOption), env: { ...process.env, ...env }, log };
}

function cannotRun(binary, error) {
  const why = error.code === 'ENOENT' ? 'there is no such program' : error.message;
  return new StorageSyncError('no-binary', `cannot run ${binary}: ${why}`, { cause: error });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new StorageSyncError('bad-output', 'what storsync-init prints is no JSON', { cause });
  }
}

// What a run that is over has printed, if anything.
function printed({ text, code, signal }) {
  if (text.trim() !== '') return { answer: parse(text) };
  const how = signal ? `was ended by ${signal}` : `ended with ${code}${EXIT_CODES[code] ? `: ${EXIT_CODES[code]}` : ''}`;
  return { why: new StorageSyncError(signal ? 'killed' : 'failed', `storsync-init ${how}; its log says more`) };
}

function documentOf({ answer, why }) {
  if (why) throw why;
  if (answer?.schema !== 1) throw new StorageSyncError('bad-output', 'what storsync-init prints is no status document');
  return answer;
}

function begin(binary, words, how) {
  try {
    return spawn(binary, words, how);
  } catch (error) {
    throw cannotRun(binary, error);
  }
}

// One run of the binary.
function run(words, options) {
  const { binary, words: more, env, log } = settings(options);
  const timeout = limit(options.timeoutMs, HOUR);
  const { signal: abort } = options;

  if (abort?.aborted) throw new StorageSyncError('aborted', 'aborted before it began', { cause: abort.reason });
  return new Promise((resolve, reject) => {
    const chunks = [];
    let size = 0;
    let why; // we had it end
    const child = begin(binary, [...words, ...more, '--json'], { env, stdio: ['ignore', 'pipe', log], shell: false });
    const ask = () => child.kill('SIGTERM');
    const onAbort = () => end(new StorageSyncError('aborted', 'aborted', { cause: abort.reason }));
    const timer = setTimeout(() => end(new StorageSyncError('timeout', `not done after ${timeout} ms`)), timeout);
    let last;

    function end(error) {
      if (why) return;
      why = error;
      ask();
      last = setTimeout(() => child.kill('SIGKILL'), GRACE);
    }
    function forget() {
      clearTimeout(timer);
      clearTimeout(last);
      process.removeListener('exit', ask);
      abort?.removeEventListener('abort', onAbort);
    }

    process.once('exit', ask); // it would go on without us
    abort?.addEventListener('abort', onAbort);
    child.stdout.on('data', chunk => {
      size += chunk.length;
      if (size > OUTPUT_MAX) end(new StorageSyncError('bad-output', `${binary} prints more than ${OUTPUT_MAX} bytes`));
      else chunks.push(chunk);
    });
    child.on('error', error => {
      if (child.pid !== undefined) return; // it runs, and could not be signalled
      forget();
      reject(cannotRun(binary, error));
    });
    child.on('close', (code, signal) => {
      forget();
      if (why) reject(why);
      else resolve({ text: Buffer.concat(chunks).toString('utf8'), code, signal });
    });
  });
}

function syncResult(document) {
  const { message, state, exitCode = null, durationMs = 0 } = document;
  // The endpoint knows less of a run that was killed.
  const { success = false, dryRun = document.mode === 'dry-run', errors = [] } = document;
  const { syncedFiles, skippedFiles, goneFiles, overwrittenFiles = 0, keptFiles = 0, deletedFiles = 0, failedFiles, totalSize } = document;
  return {
    success,
    message,
    details: {
      state, dryRun, exitCode, durationMs, syncedFiles, skippedFiles, goneFiles, overwrittenFiles, keptFiles, deletedFiles, failedFiles, totalSize,
      errors,
    },
  };
}

function validationResult(document) {
  if (typeof document.valid !== 'boolean') throw new StorageSyncError('failed', document.message, { document });
  const { valid, message, checkedFiles, missingFiles, mismatchedFiles, extraFiles, failedFiles } = document;
  const { details = { missing: [], mismatched: [], extra: [], truncated: true } } = document;
  return { valid, message, checkedFiles, missingFiles, mismatchedFiles, extraFiles, failedFiles, details };
}

const goesOn = document => Boolean(document) && document.finishedAt === null && Date.now() - Date.parse(document.updatedAt) < STALE;

function statusOf(document) {
  const { environment, environmentSource, configured, hookActive, source, destination, deploymentId } = document;
  const { state, success, message, lastSync, nextSync = null, manual = null } = document;
  return {
    environment, environmentSource, configured, hookActive, source, destination, deploymentId, state, success, message,
    running: goesOn(document) || goesOn(manual), lastSync, nextSync, document,
  };
}

// Of a machine on which nothing has run yet: what a run would go by.
function statusOfSettings({ answer: config, why }) {
  if (why) throw why;
  const found = /^(production|development) \((.*)\)$/s.exec(config?.environment);
  if (!found) throw new StorageSyncError('bad-output', 'what storsync-init prints are no settings');
  const [, environment, environmentSource] = found;
  const { source: { bucket: source }, destination: { bucket: destination } } = config;
  return {
    environment, environmentSource, configured: source.origin !== 'default' && destination.origin !== 'default',
    hookActive: environment === 'production', source: source.value, destination: destination.value, deploymentId: null,
    state: null, success: null, message: 'No run has left a status', running: false, lastSync: null, nextSync: null,
    document: null,
  };
}

// The same for what answers at once, while Node waits.
function runAndWait(words, options) {
  const { binary, words: more, env } = settings(options);
  const { error, status, signal, stdout } = spawnSync(binary, [...words, ...more, '--json'], {
    env, stdio: ['ignore', 'pipe', 'ignore'], shell: false, timeout: limit(options.timeoutMs, STATUS_LIMIT),
    killSignal: 'SIGKILL', maxBuffer: OUTPUT_MAX, encoding: 'utf8',
  });
  if (error?.code === 'ETIMEDOUT') throw new StorageSyncError('timeout', `${binary} does not answer`, { cause: error });
  if (error?.code === 'ENOBUFS') throw new StorageSyncError('bad-output', `${binary} prints too much`, { cause: error });
  if (error) throw cannotRun(binary, error);
  return { text: stdout, code: status, signal };
}

function flag(name, value) {
  if (value !== undefined && typeof value !== 'boolean') throw bad(`${name} is no boolean`);
  return value ? [`--${name === 'dryRun' ? 'dry-run' : name}`] : [];
}

export async function triggerManualStorageSync(options = {}) {
  const paths = list('paths', options.paths, checkPath);
  const dryRun = flag('dryRun', options.dryRun);
  if (options.endpoint !== undefined) {
    const body = { dry_run: dryRun.length > 0, ...(options.paths && { paths }) };
    return syncResult(await runAtEndpoint('/sync', body, options, limit(options.timeoutMs, HOUR)));
  }
  // Paths stand right behind --sync: elsewhere a word is the command of an application.
  return syncResult(documentOf(printed(await run(['--sync', ...paths, ...dryRun], options))));
}

export async function validateStorageSync(options = {}) {
  const strict = flag('strict', options.strict);
  if (options.endpoint !== undefined) {
    if (strict.length > 0) throw bad('strict is a setting of the process that stays');
    return validationResult(await runAtEndpoint('/validate', undefined, options, limit(options.timeoutMs, HOUR)));
  }
  return validationResult(documentOf(printed(await run(['--validate', ...strict], options))));
}

export function getStorageSyncStatus(options = {}) {
  if (options.endpoint !== undefined) throw bad('an endpoint cannot be asked while Node waits: fetchStorageSyncStatus');
  const status = printed(runAndWait(['--status'], options));
  if (status.answer) return statusOf(documentOf(status));
  return statusOfSettings(printed(runAndWait(['--print-config'], options)));
}

export async function fetchStorageSyncStatus(options = {}) {
  if (options.endpoint !== undefined) {
    const { run: document, running, next } = await statusAtEndpoint(options);
    return { ...statusOf(document), running, nextSync: next };
  }
  const quiet = { ...options, timeoutMs: options.timeoutMs ?? STATUS_LIMIT, log: 'ignore' };
  const status = printed(await run(['--status'], quiet));
  if (status.answer) return statusOf(documentOf(status));
  return statusOfSettings(printed(await run(['--print-config'], quiet)));
}
