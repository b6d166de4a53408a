// The routes of examples/node/admin, in Express 4, in Express 5, and in Node's own server.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';

import express4 from 'express4';
import express5 from 'express5';

import { storageSyncRouter } from './server/storage-sync-router.js';
import { Place, until } from './place.mjs';

const MOUNT = '/admin/storage-sync';
const admin = () => true;

// Each makes a handler of requests out of a router's options; `json` is that the application reads bodies itself.
function withExpress(express) {
  return (options, json = false) => {
    const app = express();
    if (json) app.use(express.json());
    app.use(MOUNT, storageSyncRouter(options));
    app.use((request, response) => response.status(404).send('the application'));
    app.use((error, request, response, next) => (response.headersSent ? next(error) : response.status(500).send(`error: ${error.message}`)));
    return app;
  };
}

const SERVERS = {
  'Express 4': withExpress(express4),
  'Express 5': withExpress(express5),
  'node:http': options => {
    const router = storageSyncRouter(options);
    return (request, response) => {
      request.url = request.url.replace(MOUNT, '');
      router(request, response, error => response.writeHead(error ? 500 : 404).end(error ? `error: ${error.message}` : 'the application'));
    };
  },
};

async function serve(t, handler) {
  const server = http.createServer(handler).listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  t.after(() => { server.closeAllConnections(); server.close(); });
  const { port } = server.address();
  return async (method, path, body, headers = {}) => {
    const request = http.request({ port, host: '127.0.0.1', method, path: MOUNT + path, agent: false,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers } });
    request.end(body);
    const response = await new Promise((resolve, reject) => request.once('response', resolve).once('error', reject));
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    return { status: response.statusCode, headers: response.headers, text, get body() { return JSON.parse(text); } };
  };
}

test('without somebody who says who is an administrator there are no routes', () => {
  for (const options of [undefined, {}, { authorize: true }, { authorize: null }]) {
    assert.throws(() => storageSyncRouter(options), { name: 'TypeError', message: /authorize/ });
  }
});

for (const [name, handler] of Object.entries(SERVERS)) {
  test(`${name}: sync, validation, status`, async t => {
    const place = new Place(t);
    place.write('dev/public/css/a.css', 'abc');
    place.write('dev/public/b.txt', 'abc');
    for (const json of name === 'node:http' ? [false] : [false, true]) {
      const ask = await serve(t, handler({ authorize: admin, ...place.options() }, json));
      const dry = await ask('POST', '/sync', '{"dryRun": true, "paths": ["public/css"]}');
      assert.equal(dry.status, 200, dry.text);
      assert.deepEqual([dry.body.success, dry.body.details.dryRun], [true, true]);
      assert.equal(dry.body.details.syncedFiles + dry.body.details.skippedFiles, 1);
      const done = await ask('POST', '/sync');
      assert.deepEqual([done.status, done.body.success], [200, true]);
      assert.equal(done.headers['cache-control'], 'no-store');
      const equal = await ask('POST', '/validate/', '{"strict": true}');
      assert.deepEqual([equal.status, equal.body.valid, equal.body.checkedFiles], [200, true, 2]);
      const status = await ask('GET', '/status?now');
      assert.deepEqual([status.status, status.body.state, status.body.running], [200, 'synced', false]);
    }
    assert.equal(place.read('prod/public/b.txt'), 'abc');
  });

  test(`${name}: who is no administrator gets and does nothing`, async t => {
    const place = new Place(t);
    const options = place.options({ binary: place.recorder() });
    for (const authorize of [() => false, () => undefined, () => 1, () => 'yes', async () => ({}), async () => false]) {
      const ask = await serve(t, handler({ authorize, ...options }));
      for (const [method, path] of [['POST', '/sync'], ['POST', '/validate'], ['GET', '/status'], ['GET', '/sync']]) {
        const { status, body } = await ask(method, path);
        assert.deepEqual([status, body], [403, { error: { code: 'forbidden', message: 'administrators only' } }]);
      }
    }
    const failing = [() => { throw new Error('no database'); }, async () => { throw new Error('no database'); }];
    for (const authorize of failing) {
      const { status, text } = await (await serve(t, handler({ authorize, ...options })))('POST', '/sync');
      assert.deepEqual([status, text], [500, 'error: no database']);
    }
    assert.equal(place.words(), null);
  });

  test(`${name}: authorize sees the request`, async t => {
    const place = new Place(t);
    const authorize = request => request.headers['x-role'] === 'admin';
    const ask = await serve(t, handler({ authorize, ...place.options() }));
    assert.equal((await ask('GET', '/status')).status, 403);
    assert.equal((await ask('GET', '/status', undefined, { 'x-role': 'admin' })).status, 200);
  });

  test(`${name}: what is wrong with a request`, async t => {
    const place = new Place(t);
    const ask = await serve(t, handler({ authorize: admin, ...place.options({ binary: place.recorder() }) }));
    const refused = async (expected, code, ...request) => {
      const { status, body } = await ask(...request);
      assert.deepEqual([status, body.error.code], [expected, code], request.join(' '));
    };
    for (const site of ['cross-site', 'same-site', 'x']) await refused(403, 'wrong-origin', 'POST', '/sync', undefined, { 'sec-fetch-site': site });
    for (const body of ['{', 'x', '{"paths":']) await refused(400, 'bad-request', 'POST', '/sync', body);
    for (const body of ['[]', '5', 'null', '"x"']) await refused(400, 'bad-request', 'POST', '/sync', body);
    for (const key of ['binary', 'args', 'env', 'timeoutMs', 'signal', 'strict', '__proto__']) {
      await refused(400, 'bad-request', 'POST', '/sync', `{"${key}": "/bin/sh"}`);
    }
    for (const path of ['--config=a/b', '/bin/sh', 'public', '../a/']) {
      await refused(400, 'invalid-argument', 'POST', '/sync', JSON.stringify({ paths: [path] }));
    }
    await refused(400, 'invalid-argument', 'POST', '/validate', '{"strict": "no"}');
    await refused(415, 'unsupported-media-type', 'POST', '/sync', '', { 'content-type': 'application/x-www-form-urlencoded' });
    await refused(415, 'unsupported-media-type', 'POST', '/sync', '{}', { 'content-type': 'text/plain' });
    await refused(413, 'too-large', 'POST', '/sync', `{"paths": ["${'x'.repeat(70_000)}/"]}`);
    await refused(405, 'method-not-allowed', 'DELETE', '/sync');
    const get = await ask('GET', '/sync');
    assert.deepEqual([get.status, get.headers.allow], [405, 'POST']);
    for (const path of ['/', '', '/syncs', '/sync/x', '/constructor', '/__proto__']) {
      const { status, text } = await ask('POST', path);
      assert.deepEqual([status, text], [404, 'the application'], path);
    }
    assert.equal(place.words(), null);
    assert.equal((await ask('POST', '/sync', undefined, { 'sec-fetch-site': 'same-origin' })).status, 200);
  });

  test(`${name}: one run at a time, and nobody waits for ever`, async t => {
    const place = new Place(t);
    const binary = place.script(`case $1 in --sync) while [ ! -e '${place.at('go')}' ]; do sleep 0.05; done; esac
      exec '${process.env.STORSYNC_BIN}' "$@"`);
    const ask = await serve(t, handler({ authorize: admin, answerWithinMs: 300, ...place.options({ binary }) }));
    const late = await ask('POST', '/sync');
    assert.deepEqual([late.status, late.body.running], [202, 'sync']);
    for (const path of ['/sync', '/validate']) {
      const { status, body } = await ask('POST', path);
      assert.deepEqual([status, body.error], [409, { code: 'busy', message: 'a sync is under way' }]);
    }
    assert.equal((await ask('GET', '/status')).body.running, true);
    place.write('go', '');
    await until(async () => !(await ask('GET', '/status')).body.running, 'the end of the sync');
    assert.equal((await ask('GET', '/status')).body.state, 'synced');
    await until(async () => (await ask('POST', '/validate')).status !== 409, 'the next run');
  });

  test(`${name}: without a result it is no 200, and the next one may try`, async t => {
    const place = new Place(t);
    for (const [more, expected, code] of [
      [{ binary: place.at('not-there') }, 502, 'no-binary'], [{ binary: '/bin/echo' }, 502, 'bad-output'],
      [{ binary: place.script('exec sleep 600'), timeoutMs: 100 }, 504, 'timeout'],
    ]) {
      const ask = await serve(t, handler({ authorize: admin, ...place.options(more) }));
      for (let n = 0; n < 2; n++) {
        const { status, body } = await ask('POST', '/sync');
        assert.deepEqual([status, body.error.code], [expected, code]);
      }
    }
    const failing = await serve(t, handler({ authorize: admin, ...place.options({ env: place.env({ DEV_STORAGE_BUCKET: 'file:///no/such' }) }) }));
    const failed = await failing('POST', '/sync');
    assert.deepEqual([failed.status, failed.body.success], [200, false], 'the run has a result, which says so');
  });
}
