// Google's own client for Cloud Storage, worked by whoever writes to its standard input: a request as JSON on a line, and
// its answer as JSON on a line, one after the other. NODE_PATH leads to @google-cloud/storage. peers.py has the other end.
'use strict';

const {createHash} = require('crypto');
const {createInterface} = require('readline');
const {pipeline} = require('stream/promises');
const {createReadStream} = require('fs');
const {Storage} = require('@google-cloud/storage');

const FIELDS = ['contentType', 'contentEncoding', 'contentLanguage', 'contentDisposition', 'cacheControl', 'metadata'];
const AT_ONCE = 8;
const services = new Map();

function service(endpoint) {
  if (!services.has(endpoint)) {
    const retryOptions = {maxRetries: 3, retryDelayMultiplier: 1};
    services.set(endpoint, new Storage({apiEndpoint: endpoint, projectId: 'test', retryOptions}));
  }
  return services.get(endpoint);
}

function fieldsOf(resource) {
  return Object.fromEntries(FIELDS.filter(name => name in resource).map(name => [name, resource[name]]));
}

// The bytes as they are stored, whose CRC32C the client compares with what the service says.
async function digest(file) {
  const hash = createHash('sha256');
  let size = 0;
  await pipeline(file.createReadStream({decompress: false}), async chunks => {
    for await (const chunk of chunks) {
      size += chunk.length;
      hash.update(chunk);
    }
  });
  return {sha256: hash.digest('hex'), size};
}

async function look(file) {
  return {...fieldsOf(file.metadata), ...await digest(file)};
}

async function allOf(files, step) {
  const answers = {};
  const rest = [...files];
  const worker = async () => {
    for (let file = rest.shift(); file; file = rest.shift()) answers[file.name] = await step(file);
  };
  await Promise.all(Array.from({length: AT_ONCE}, worker));
  return answers;
}

const actions = {
  create: (bucket) => bucket.create().then(() => true),

  // One page after the other, as the service cuts them.
  pages: async (bucket, {prefix, maxResults}) => {
    const pages = [];
    let query = {prefix, maxResults, autoPaginate: false};
    while (query) {
      const [files, next] = await bucket.getFiles(query);
      pages.push(files.map(file => file.name));
      query = next;
    }
    return pages;
  },

  // {name: what is stored, and with which fields}
  snapshot: async (bucket, {prefix}) => {
    const [files] = await bucket.getFiles({prefix});
    return allOf(files, look);
  },

  upload: async (bucket, {name, path, resumable, chunkSize, fields, conditions}) => {
    const file = bucket.file(name);
    const options = {resumable, chunkSize, metadata: fields, preconditionOpts: conditions};
    await pipeline(createReadStream(path), file.createWriteStream(options));
    return file.metadata;
  },

  download: async (bucket, {name, options, generation}) => {
    const [content] = await bucket.file(name, {generation}).download(options);
    return content.toString('base64');
  },

  resource: async (bucket, {name}) => (await bucket.file(name).getMetadata())[0],

  change: async (bucket, {name, fields, conditions}) => {
    const [resource] = await bucket.file(name).setMetadata(fields, conditions);
    return resource;
  },

  copy: async (bucket, {name, toBucket, to, fields, conditions}) => {
    const target = bucket.storage.bucket(toBucket).file(to);
    const [copied] = await bucket.file(name).copy(target, {...fields, preconditionOpts: conditions});
    return copied.metadata;
  },

  remove: (bucket, {name, conditions}) => bucket.file(name).delete(conditions).then(() => true),
};

async function serve(line) {
  const {act, endpoint, bucket, ...more} = JSON.parse(line);
  try {
    return {answer: await actions[act](service(endpoint).bucket(bucket), more)};
  } catch (error) {
    return {error: {code: error.code, message: error.message}};
  }
}

(async () => {
  for await (const line of createInterface({input: process.stdin})) {
    process.stdout.write(JSON.stringify(await serve(line)) + '\n');
  }
})();
