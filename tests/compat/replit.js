// An app at Replit, as Replit's own library (@replit/object-storage) and its template for apps work with a bucket. What to do
// is the argument, as JSON; what came of it goes to standard output, as JSON. NODE_PATH leads to the libraries.
'use strict';

const {Client} = require('@replit/object-storage');
const {Storage} = require('@google-cloud/storage');

const SIDECAR = 'http://127.0.0.1:1106';
const {bucketId, files = {}} = JSON.parse(process.argv[2]);

// The template's client, for what the library has no words for: who may see a file.
const storage = new Storage({
  projectId: '',
  credentials: {
    type: 'external_account',
    audience: 'replit',
    subject_token_type: 'access_token',
    token_url: `${SIDECAR}/token`,
    credential_source: {
      url: `${SIDECAR}/credential`,
      format: {type: 'json', subject_token_field_name: 'access_token'},
    },
    universe_domain: 'googleapis.com',
  },
});

function value(result) {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

async function look(client, name) {
  const [resource] = await storage.bucket(bucketId).file(name).getMetadata();
  return [value(await client.downloadAsText(name)), resource.metadata['custom:aclPolicy']];
}

(async () => {
  const client = new Client({bucketId});
  for (const [name, [text, policy]] of Object.entries(files)) {
    value(await client.uploadFromText(name, text));
    await storage.bucket(bucketId).file(name).setMetadata({metadata: {'custom:aclPolicy': policy}});
  }
  const found = {};
  for (const {name} of value(await client.list())) {
    if (!name.startsWith('.storsync/')) found[name] = await look(client, name);
  }
  process.stdout.write(JSON.stringify(found));
})().catch(error => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
