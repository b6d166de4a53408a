// The same functions by the admin endpoint: the binary's, and one that is played here, which does what it is told to.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';

import { fetchStorageSyncStatus, getStorageSyncStatus, triggerManualStorageSync, validateStorageSync } from './server/storage-sync-startup.js';
import { storageSyncRouter } from './server/storage-sync-router.js';
import { BINARY, Place, until } from './place.mjs';

const DONE = {
  mode: 'sync', state: 'synced', success: true, message: 'Synced 2 objects', environment: 'production', environmentSource: 'default',
  configured: true, hookActive: true, source: 'a', destination: 'b', deploymentId: 'd1', dryRun: false, exitCode: 0, durationMs: 5,
  syncedFiles: 2, skippedFiles: 1, goneFiles: 0, overwrittenFiles: 0, keptFiles: 0, failedFiles: 0, totalSize: 10, errors: [],
  finishedAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z', lastSync: null,
};

const refusal = code => ({ name: 'StorageSyncError', code });

// An endpoint: its run is over after so many looks at the status; `more` are answers by "METHOD /path".
async function play(t, { looks = 2, last = {}, more = {}, where } = {}) {
  const self = { asked: [], heads: [], bodies: [], status: { started: 's1', run: null, last: null, runs: [], schedules: { sync: null } } };
  let id = 6;
  const server = http.createServer(async (request, response) => {
    const name = `${request.method} ${request.url}`;
    self.asked.push(name);
    self.heads.push(request.headers);
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    self.bodies.push(text);
    const answer = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    if (more[name]) {
      more[name](response, self, answer);
    } else if (request.method === 'POST') {
      self.status.run = { id: ++id, ...DONE, finishedAt: null };
      self.left = looks;
      answer(202, JSON.stringify({ run: { id, mode: 'sync' } }));
    } else if (request.method === 'DELETE') {
      self.status.run = null;
      answer(202, '{}');
    } else {
      if (self.status.run && self.left-- <= 0) Object.assign(self.status, { run: null, last: { id, ...DONE, ...last } });
      answer(200, JSON.stringify(self.status));
    }
  });
  server.listen(where ?? { port: 0, host: '127.0.0.1' });
  await new Promise(resolve => server.once('listening', resolve));
  t.after(() => { server.closeAllConnections(); server.close(); });
  self.options = { endpoint: where ? `unix:${where}` : `http://127.0.0.1:${server.address().port}`, token: 'secret' };
  return self;
}

const refuse = (status, code) => (response, self, answer) => answer(status, JSON.stringify({ error: { code, message: 'no' } }));

test('a sync, with its order and the token', async t => {
  const server = await play(t);
  const result = await triggerManualStorageSync({ ...server.options, dryRun: true, paths: ['public/css', 'public/a b/'] });
  assert.deepEqual([result.success, result.message, result.details.syncedFiles], [true, 'Synced 2 objects', 2]);
  const at = server.asked.indexOf('POST /sync');
  assert.deepEqual(JSON.parse(server.bodies[at]), { dry_run: true, paths: ['public/css', 'public/a b/'] });
  assert.equal(server.heads[at].authorization, 'Bearer secret');
  await triggerManualStorageSync(server.options);
  assert.deepEqual(JSON.parse(server.bodies.findLast(Boolean)), { dry_run: false }, 'no paths are all of them');
});

test('a validation', async t => {
  const server = await play(t, { last: { mode: 'validate', valid: false, checkedFiles: 3, missingFiles: 1, mismatchedFiles: 1, extraFiles: 1 } });
  const objects = [{ key: 'a', kind: 'missing' }, { key: 'b', kind: 'different' }, { key: 'c', kind: 'extra' }];
  server.status.differences = { runId: 7, objects, more: 2 };
  const result = await validateStorageSync(server.options);
  assert.deepEqual([result.valid, result.missingFiles, result.details],
    [false, 1, { missing: ['a'], mismatched: [{ file: 'b', reason: 'differs' }], extra: ['c'], truncated: true }]);
  assert.deepEqual((await validateStorageSync(server.options)).details.missing, [], 'those are of another run');
  assert.ok(server.asked.includes('POST /validate'));
  await assert.rejects(validateStorageSync({ ...server.options, strict: true }), refusal('invalid-argument'));
  const unable = await play(t, { last: { mode: 'validate', state: 'failed', message: 'no such bucket' } });
  await assert.rejects(validateStorageSync(unable.options), { ...refusal('failed'), message: 'no such bucket' });
});

test('a run that was killed has a result, too', async t => {
  const killed = { id: 7, mode: 'sync', state: 'failed', message: 'the sync was killed by signal 9', syncedFiles: 1, skippedFiles: 0, goneFiles: 0, failedFiles: 0, totalSize: 3 };
  const server = await play(t, { more: { 'GET /status': (response, self, answer) => {
    if (self.status.run) Object.assign(self.status, { run: null, last: killed });
    answer(200, JSON.stringify(self.status));
  } } });
  const result = await triggerManualStorageSync(server.options);
  assert.deepEqual([result.success, result.message, result.details.dryRun, result.details.errors], [false, killed.message, false, []]);
});

test('the status', async t => {
  const server = await play(t);
  await assert.rejects(fetchStorageSyncStatus(server.options), refusal('failed'), 'nothing has run yet');
  assert.throws(() => getStorageSyncStatus(server.options), refusal('invalid-argument'));
  await triggerManualStorageSync(server.options);
  server.status.schedules.sync = { next: '2026-01-02T00:00:00.000Z' };
  const status = await fetchStorageSyncStatus(server.options);
  assert.deepEqual([status.environment, status.configured, status.hookActive, status.state, status.running, status.nextSync],
    ['production', true, true, 'synced', false, '2026-01-02T00:00:00.000Z']);
  Object.assign(server.status, { run: { id: 9, ...DONE, state: 'running', finishedAt: null } });
  server.left = 5;
  assert.equal((await fetchStorageSyncStatus(server.options)).running, true);
});

test('a socket in the file system, and a token in a file', async t => {
  const place = new Place(t);
  const server = await play(t, { where: place.at('admin.sock') });
  place.write('token', 'two\nlines\n');
  await assert.rejects(triggerManualStorageSync({ ...server.options, tokenFile: place.at('token') }), refusal('invalid-argument'), 'no word');
  place.write('token', 'from the file\n');
  assert.equal((await triggerManualStorageSync({ ...server.options, tokenFile: place.at('token') })).success, true);
  assert.deepEqual([server.heads[0].authorization, server.heads[0].host], ['Bearer from the file', 'localhost']);
  await assert.rejects(triggerManualStorageSync({ ...server.options, tokenFile: place.at('none') }), refusal('invalid-argument'));
});

test('what is no endpoint is not asked', async t => {
  for (const endpoint of ['127.0.0.1:9187', 'ftp://x', 'http://x/path', 'http://x?y', 'http://u@x', 'unix:x', 'unix:/a\0b', 5, '']) {
    await assert.rejects(triggerManualStorageSync({ endpoint }), refusal('invalid-argument'), String(endpoint));
  }
  const { options, asked } = await play(t);
  for (const token of ['', ' a', 'a\r\nX: y', 'ä', 5]) await assert.rejects(triggerManualStorageSync({ ...options, token }), refusal('invalid-argument'));
  for (const path of ['--config=a/b', 'public']) await assert.rejects(triggerManualStorageSync({ ...options, paths: [path] }), refusal('invalid-argument'));
  await assert.rejects(triggerManualStorageSync({ ...options, signal: AbortSignal.abort() }), refusal('aborted'));
  assert.deepEqual(asked, []);
});

test('why there is no result', async t => {
  const on = async (name, answer) => triggerManualStorageSync((await play(t, { more: { [name]: answer } })).options);
  await assert.rejects(on('POST /sync', refuse(401, 'unauthorized')), refusal('unauthorized'));
  await assert.rejects(on('POST /sync', refuse(403, 'read-only')), refusal('read-only'));
  await assert.rejects(on('POST /sync', refuse(409, 'busy')), refusal('busy'));
  await assert.rejects(on('POST /sync', refuse(400, 'bad-request')), refusal('invalid-argument'));
  await assert.rejects(on('POST /sync', refuse(503, 'unavailable')), refusal('failed'));
  await assert.rejects(on('GET /status', refuse(421, 'wrong-host')), refusal('failed'));
  await assert.rejects(on('GET /status', (response, self, answer) => answer(200, '<html>')), refusal('bad-output'));
  await assert.rejects(on('GET /status', (response, self, answer) => answer(200, 'null')), refusal('bad-output'));
  await assert.rejects(on('GET /status', (response, self, answer) => answer(200, '{}')), refusal('bad-output'));
  await assert.rejects(on('GET /status', (response, self, answer) => answer(200, 'x'.repeat(5 << 20))), refusal('unreachable'));
  await assert.rejects(on('GET /status', response => response.destroy()), refusal('unreachable'));
  await assert.rejects(on('GET /status', (response, self, answer) => answer(302, '{}')), refusal('failed'), 'no redirect is followed');
  await assert.rejects(on('GET /status', (response, self, answer) => {
    if (self.status.run) self.status.started = 's2';
    answer(200, JSON.stringify(self.status));
  }), refusal('lost'), 'started anew');
  await assert.rejects(on('GET /status', (response, self, answer) => {
    if (self.status.run) Object.assign(self.status, { run: null, last: { id: 99, ...DONE } });
    answer(200, JSON.stringify(self.status));
  }), refusal('lost'), 'others came after it');
  const closed = net.createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => closed.once('listening', resolve));
  const { port } = closed.address();
  await new Promise(resolve => closed.close(resolve));
  await assert.rejects(triggerManualStorageSync({ endpoint: `http://127.0.0.1:${port}` }), refusal('unreachable'));
});

test('an endpoint that says nothing is not waited for', async t => {
  const { options } = await play(t, { more: { 'GET /status': () => {} } });
  const begun = Date.now();
  await assert.rejects(fetchStorageSyncStatus(options), refusal('unreachable'));
  assert.ok(Date.now() - begun >= 9_900);
});

test('one look that fails is no end', async t => {
  let left = 2;
  const server = await play(t, { more: { 'GET /status': (response, self, answer) => {
    if (self.status.run && left-- > 0) return response.destroy();
    if (self.status.run && left < -1) Object.assign(self.status, { run: null, last: { id: 7, ...DONE } });
    return answer(200, JSON.stringify(self.status));
  } } });
  assert.equal((await triggerManualStorageSync(server.options)).success, true);
  assert.ok(left < 0);
});

test('a run that nobody wants any more is ended, another one is not', async t => {
  const server = await play(t, { looks: 1e9 });
  await assert.rejects(triggerManualStorageSync({ ...server.options, timeoutMs: 300 }), refusal('timeout'));
  assert.equal(server.asked.at(-1), 'DELETE /run');

  const control = new AbortController();
  const done = assert.rejects(triggerManualStorageSync({ ...server.options, signal: control.signal }), refusal('aborted'));
  await until(() => server.status.run, 'the run begins');
  control.abort();
  await done;
  assert.equal(server.asked.at(-1), 'DELETE /run');

  const before = server.asked.filter(name => name === 'DELETE /run').length;
  const other = new AbortController();
  const late = assert.rejects(validateStorageSync({ ...server.options, signal: other.signal }));
  await until(() => server.status.run, 'the run begins');
  server.status.run.id = 99;
  other.abort();
  await late;
  assert.equal(server.asked.filter(name => name === 'DELETE /run').length, before);
});

// The binary, at a socket in that place, once its first run is over.
async function serve(t, place, env = {}) {
  const endpoint = `unix:${place.at('admin.sock')}`;
  const all = { ...process.env, ...place.env({ STORSYNC_ADMIN_LISTEN: endpoint, STORSYNC_ADMIN_TOKEN: 'secret', ...env }) };
  const child = spawn(BINARY, ['--serve'], { env: all, stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  const options = { endpoint, token: 'secret' };
  await until(async () => {
    try {
      return !(await fetchStorageSyncStatus(options)).running;
    } catch (error) {
      assert.ok(['unreachable', 'failed'].includes(error.code), String(error));
      return false;
    }
  }, 'the first run');
  return { child, options };
}

test('the real one: sync, validation, status', async t => {
  const place = new Place(t);
  const { options } = await serve(t, place);
  const first = await fetchStorageSyncStatus(options);
  assert.deepEqual([first.environment, first.configured, first.hookActive, first.state], ['development', true, false, 'inactive']);
  place.write('dev/public/css/a.css', 'abc');
  place.write('dev/public/b.txt', 'abc');
  const dry = await triggerManualStorageSync({ ...options, dryRun: true });
  assert.deepEqual([dry.success, dry.details.dryRun, dry.details.syncedFiles, place.has('prod/public')], [true, true, 2, false]);
  const part = await triggerManualStorageSync({ ...options, paths: ['public/css'] });
  assert.deepEqual([part.success, part.details.syncedFiles, place.has('prod/public/b.txt')], [true, 1, false]);
  const differs = await validateStorageSync(options);
  assert.deepEqual([differs.valid, differs.missingFiles, differs.details.missing], [false, 1, ['public/b.txt']]);
  assert.equal(differs.details.truncated, false);
  assert.equal((await triggerManualStorageSync(options)).message, 'Synced 1 object (3 B), 1 already up to date');
  assert.equal((await validateStorageSync(options)).valid, true);
  const status = await fetchStorageSyncStatus(options);
  assert.deepEqual([status.state, status.running, status.source], ['synced', false, `file://${place.at('dev')}`]);
  await assert.rejects(triggerManualStorageSync({ ...options, token: 'wrong' }), refusal('unauthorized'));
  await assert.rejects(triggerManualStorageSync({ ...options, token: undefined }), refusal('unauthorized'));
});

test('the real one: what it cannot do', async t => {
  const place = new Place(t);
  const { options } = await serve(t, place, { STORSYNC_ADMIN_TOKEN: undefined });
  await assert.rejects(triggerManualStorageSync(options), refusal('read-only'));
  assert.equal((await fetchStorageSyncStatus({ endpoint: options.endpoint })).environment, 'development');

  const other = new Place(t);
  const { child, options: failing } = await serve(t, other, { DEV_STORAGE_BUCKET: 'file:///no/such/place' });
  const failed = await triggerManualStorageSync(failing);
  assert.deepEqual([failed.success, failed.details.state, failed.details.exitCode], [false, 'failed', 69]);
  assert.match(failed.message, /no\/such\/place/);
  await assert.rejects(validateStorageSync(failing), refusal('failed'));
  child.kill('SIGKILL');
  await new Promise(resolve => child.once('exit', resolve));
  await assert.rejects(triggerManualStorageSync(failing), refusal('unreachable'));
});

test('the real one: routes', async t => {
  const place = new Place(t);
  place.write('dev/public/a.txt', 'abc');
  const { options } = await serve(t, place);
  const router = storageSyncRouter({ authorize: () => true, ...options });
  const server = http.createServer((request, response) => router(request, response, () => response.writeHead(404).end())).listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  t.after(() => server.close());
  const ask = async (method, path, body) => {
    const headers = body ? { 'content-type': 'application/json' } : {};
    const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { method, body, headers });
    return [response.status, await response.json()];
  };
  const [status, result] = await ask('POST', '/sync', '{"paths": ["public/"]}');
  assert.deepEqual([status, result.success, place.read('prod/public/a.txt')], [200, true, 'abc']);
  assert.equal((await ask('POST', '/validate'))[1].valid, true);
  assert.equal((await ask('GET', '/status'))[1].state, 'synced');
  assert.equal((await ask('POST', '/validate', '{"strict": true}'))[0], 400);
});
