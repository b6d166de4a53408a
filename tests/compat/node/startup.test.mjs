// The functions of examples/node/admin, with the binary, on directories.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import * as api from './server/storage-sync-startup.js';
import { BINARY, Place, until } from './place.mjs';

const { StorageSyncError, fetchStorageSyncStatus, getStorageSyncStatus, triggerManualStorageSync, validateStorageSync } = api;

const HERE = fileURLToPath(new URL('.', import.meta.url));

const refusal = code => error => {
  assert.ok(error instanceof StorageSyncError, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

// Both of them, as they are to say the same.
async function status(options) {
  const now = getStorageSyncStatus(options);
  assert.deepEqual(await fetchStorageSyncStatus(options), now);
  return now;
}

test('a sync', async t => {
  const place = new Place(t);
  place.write('dev/public/a.txt', 'abc');
  const result = await triggerManualStorageSync(place.options());
  assert.equal(result.success, true);
  assert.equal(result.message, 'Synced 1 object (3 B), 0 already up to date');
  const { durationMs, ...details } = result.details;
  assert.ok(Number.isInteger(durationMs));
  assert.deepEqual(details, {
    state: 'synced', dryRun: false, exitCode: 0, syncedFiles: 1, skippedFiles: 0, goneFiles: 0, overwrittenFiles: 0, keptFiles: 0, deletedFiles: 0,
    failedFiles: 0, totalSize: 3, errors: [],
  });
  assert.equal(place.read('prod/public/a.txt'), 'abc');
  assert.equal((await triggerManualStorageSync(place.options())).details.skippedFiles, 1);
});

test('a dry run writes nothing', async t => {
  const place = new Place(t);
  place.write('dev/public/a.txt', 'abc');
  const { details } = await triggerManualStorageSync(place.options({ dryRun: true }));
  assert.deepEqual([details.dryRun, details.syncedFiles, place.has('prod/public')], [true, 1, false]);
});

test('parts of the paths, each word by itself', async t => {
  const place = new Place(t);
  const odd = ["public/a b/", 'public/$(touch pwned)/', "public/';x\n\"/", 'public/*/', 'public/ä\u2028/'];
  for (const name of odd) place.write(`dev/${name}1.txt`, '1');
  place.write('dev/public/left.txt', '1');
  const result = await triggerManualStorageSync(place.options({
    binary: place.recorder(), paths: odd, dryRun: false, args: ['--concurrency=3', '--deployment-id=$(id); x'],
  }));
  assert.deepEqual([result.success, result.details.syncedFiles], [true, odd.length]);
  assert.deepEqual(place.words(), ['--sync', ...odd, '--concurrency=3', '--deployment-id=$(id); x', '--json']);
  assert.deepEqual([place.has('prod/public/left.txt'), fs.existsSync('pwned')], [false, false]);
});

test('what would be an option, a command or nothing is refused before anything starts', async t => {
  const place = new Place(t);
  const binary = place.recorder();
  const wrong = [
    ...['--config=a/b', '-x/', '/bin/sh', './run/', '../up/', 'public', '', 'a/\0b', 5, null, ['a/b']].map(path => ({ paths: [path] })),
    ...['sync', '-x', '--', '--sync --x', 'x=y', '--A', '--config\0', 7].map(word => ({ args: [word] })),
    { paths: 'public/css' }, { args: '--strict' }, { dryRun: 'yes' }, { log: 'pipe' }, { binary: '' }, { binary: 'a\0b' },
    ...[0, -1, 1.5, '5', Infinity, 2 ** 31].map(timeoutMs => ({ timeoutMs })),
  ];
  for (const more of wrong) {
    await assert.rejects(triggerManualStorageSync(place.options({ binary, ...more })), refusal('invalid-argument'), JSON.stringify(more));
  }
  await assert.rejects(validateStorageSync(place.options({ binary, strict: 1 })), refusal('invalid-argument'));
  assert.throws(() => getStorageSyncStatus(place.options({ binary, args: ['x'] })), refusal('invalid-argument'));
  assert.equal(place.words(), null);
});

test('a sync that fails is a result', async t => {
  const place = new Place(t);
  place.write('dev/public/b', 'abc');
  fs.mkdirSync(place.at('dev/public/closed'), { mode: 0 });
  for (const name of ['', 'prod']) fs.chmodSync(place.at(name), 0o777);
  const nobody = process.getuid() === 0 ? 'setpriv --reuid=65534 --regid=65534 --clear-groups' : '';
  const partial = await triggerManualStorageSync(place.options({ binary: place.script(`exec ${nobody} '${BINARY}' "$@"`) }));
  assert.equal(partial.success, false);
  assert.match(partial.message, /1 failed/);
  const { state, exitCode, syncedFiles, failedFiles, errors } = partial.details;
  assert.deepEqual([state, exitCode, syncedFiles, failedFiles], ['partial', 2, 1, 1]);
  assert.equal(errors[0].file, 'public/closed/');
  assert.match(errors[0].error, /Permission denied/);

  const failed = await triggerManualStorageSync(place.options({ env: place.env({ DEV_STORAGE_BUCKET: 'file:///no/such/place' }) }));
  assert.deepEqual([failed.success, failed.details.state, failed.details.exitCode], [false, 'failed', 69]);
  assert.match(failed.message, /\/no\/such\/place/);
});

test('a validation', async t => {
  const place = new Place(t);
  place.write('dev/public/same', 'abc');
  place.write('prod/public/same', 'abc');
  const { details, ...equal } = await validateStorageSync(place.options());
  assert.deepEqual({ ...equal, message: '' }, {
    valid: true, message: '', checkedFiles: 1, missingFiles: 0, mismatchedFiles: 0, extraFiles: 0, failedFiles: 0,
  });
  assert.deepEqual(details, { missing: [], mismatched: [], extra: [], truncated: false });

  place.write('prod/public/extra', 'abc');
  assert.deepEqual([(await validateStorageSync(place.options())).valid, (await validateStorageSync(place.options({ strict: true }))).valid],
    [true, false]);
  place.write('dev/public/new', 'abc');
  place.write('dev/public/other', 'abcd');
  place.write('prod/public/other', 'abc');
  const differs = await validateStorageSync(place.options());
  assert.deepEqual([differs.valid, differs.missingFiles, differs.mismatchedFiles, differs.extraFiles], [false, 1, 1, 1]);
  assert.deepEqual(differs.details, {
    missing: ['public/new'], mismatched: [{ file: 'public/other', reason: 'size differs' }], extra: ['public/extra'], truncated: false,
  });
});

test('a validation that cannot compare is no result', async t => {
  const place = new Place(t);
  const env = place.env({ DEV_STORAGE_BUCKET: 'file:///no/such/place' });
  await assert.rejects(validateStorageSync(place.options({ env })), error => {
    assert.match(error.message, /\/no\/such\/place/);
    assert.equal(error.document.state, 'failed');
    return refusal('failed')(error);
  });
});

test('the status, before and after the first run', async t => {
  const place = new Place(t);
  const before = await status(place.options());
  assert.deepEqual(before, {
    environment: 'development', environmentSource: 'default', configured: true, hookActive: false, source: `file://${place.at('dev')}`,
    destination: `file://${place.at('prod')}`, deploymentId: null, state: null, success: null, message: 'No run has left a status',
    running: false, lastSync: null, nextSync: null, document: null,
  });
  const production = await status(place.options({ env: place.env({ NODE_ENV: 'production', DEV_STORAGE_BUCKET: undefined }) }));
  assert.deepEqual([production.environment, production.environmentSource, production.hookActive, production.configured],
    ['production', 'NODE_ENV=production', true, false]);

  place.write('dev/public/a.txt', 'abc');
  await triggerManualStorageSync(place.options());
  const after = await status(place.options());
  assert.deepEqual([after.environment, after.configured, after.hookActive, after.state, after.success, after.running],
    ['development', true, false, 'synced', true, false]);
  assert.equal(after.lastSync.syncedFiles, 1);
  assert.equal(after.document.schema, 1);
});

test('a run that goes on, and one that has died', async t => {
  const place = new Place(t);
  await triggerManualStorageSync(place.options());
  const document = { ...JSON.parse(place.read('status.json')), state: 'running', success: false, finishedAt: null };
  for (const [ago, running] of [[1000, true], [120_000, false]]) {
    place.write('status.json', JSON.stringify({ ...document, updatedAt: new Date(Date.now() - ago).toISOString() }));
    assert.equal((await status(place.options())).running, running);
  }
});

test('why there is no result', async t => {
  const place = new Place(t);
  const rejects = (code, more) => assert.rejects(triggerManualStorageSync(place.options(more)), refusal(code));
  await rejects('no-binary', { binary: place.at('not-there') });
  await rejects('no-binary', { binary: place.write('plain', 'text') });
  await rejects('no-binary', { env: { NUL: 'a\0b' } });
  await rejects('bad-output', { binary: '/bin/echo' });
  await rejects('bad-output', { binary: place.script('echo "{\\"schema\\":2}"') });
  await rejects('bad-output', { binary: place.script('echo null') });
  await rejects('bad-output', { binary: place.script('exec cat /dev/zero') });
  await rejects('killed', { binary: place.script('kill -9 $$') });
  await assert.rejects(triggerManualStorageSync(place.options({ args: ['--no-such-option'] })), error => {
    assert.match(error.message, /ended with 64: the command line is wrong/);
    return refusal('failed')(error);
  });
  for (const [code, more] of [
    ['no-binary', { binary: place.at('not-there') }], ['bad-output', { binary: '/bin/echo' }],
    ['timeout', { binary: place.script('exec sleep 600'), timeoutMs: 200 }], ['failed', { binary: '/bin/false' }],
    ['bad-output', { binary: place.script('exec cat /dev/zero') }], ['bad-output', { binary: place.script('[ $1 = --status ] || echo 5') }],
  ]) {
    assert.throws(() => getStorageSyncStatus(place.options(more)), refusal(code));
    await assert.rejects(fetchStorageSyncStatus(place.options(more)), refusal(code));
  }
});

test('a time limit ends it, by force if need be', async t => {
  const place = new Place(t);
  const binary = place.script(`trap 'echo asked >>"${place.at('trace')}"' TERM; echo $$ >"${place.at('pid')}"; while :; do sleep 0.1; done`);
  const begun = Date.now();
  await assert.rejects(triggerManualStorageSync(place.options({ binary, timeoutMs: 2000 })), refusal('timeout'));
  assert.ok(Date.now() - begun >= 7000, 'it had its time to end by itself');
  assert.equal(place.read('trace'), 'asked\n');
  assert.throws(() => process.kill(Number(place.read('pid')), 0), { code: 'ESRCH' });
});

test('it can be called off', async t => {
  const place = new Place(t);
  const binary = place.script(`: >"${place.at('begun')}"; exec sleep 600`);
  await assert.rejects(triggerManualStorageSync(place.options({ binary, signal: AbortSignal.abort() })), refusal('aborted'));
  assert.equal(place.has('begun'), false);
  const control = new AbortController();
  const done = assert.rejects(validateStorageSync(place.options({ binary, signal: control.signal })), refusal('aborted'));
  await until(() => place.has('begun'), 'it begins');
  control.abort();
  await done;
});

test('a run ends with the process that wanted it', async t => {
  const place = new Place(t);
  const binary = place.script(`trap 'echo asked >"${place.at('trace')}"; exit' TERM; : >"${place.at('begun')}"; while :; do sleep 0.1; done`);
  const program = `
    import fs from 'node:fs';
    import { triggerManualStorageSync } from './server/storage-sync-startup.js';
    triggerManualStorageSync({ binary: process.argv[1] });
    setInterval(() => { if (fs.existsSync(process.argv[2])) process.exit(7); }, 20);`;
  const done = spawnSync(process.execPath, ['--input-type=module', '--eval', program, binary, place.at('begun')], { cwd: HERE });
  assert.equal(done.status, 7, String(done.stderr));
  await until(() => place.has('trace'), 'it is told');
});

test('the log goes to standard error, or nowhere', t => {
  const place = new Place(t);
  place.write('dev/public/a.txt', 'abc');
  const program = `
    import { triggerManualStorageSync } from './server/storage-sync-startup.js';
    await triggerManualStorageSync({ binary: process.argv[1], log: process.argv[2] || undefined });`;
  for (const [log, expected] of [['', /=== Sync Complete ===/], ['ignore', /^$/]]) {
    const env = JSON.parse(JSON.stringify({ ...process.env, ...place.env() }));
    const done = spawnSync(process.execPath, ['--input-type=module', '--eval', program, BINARY, log], { cwd: HERE, env });
    assert.equal(done.status, 0);
    assert.match(String(done.stderr), expected);
    assert.equal(String(done.stdout), '');
  }
});

test('nothing is left behind', async t => {
  const place = new Place(t);
  const before = process.listenerCount('exit');
  const { signal } = new AbortController();
  for (let n = 0; n < 20; n++) await triggerManualStorageSync(place.options({ signal }));
  assert.equal(process.listenerCount('exit'), before);
});

test('the declarations have what there is', () => {
  const text = fs.readFileSync(new URL('./server/storage-sync-startup.d.ts', import.meta.url), 'utf8');
  const declared = [...text.matchAll(/^export (?:function|class) (\w+)/gm)].map(found => found[1]);
  assert.deepEqual(declared.sort(), Object.keys(api).sort());
});
