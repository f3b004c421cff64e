// Drives an official Node client, unmodified: calls come in on standard input, one JSON object a
// line ({"action": …, "params": …}); what the client makes of each answer goes out likewise
// ({"reply": …} or {"error": {"status": …, "code": …}}).
//
// node bridge.js pop-get|pop-post|ecs HOST:PORT ACCESS_KEY_ID ACCESS_KEY_SECRET REGION
'use strict';

const readline = require('readline');

const [kind, endpoint, accessKeyId, accessKeySecret, region] = process.argv.slice(2);

// @alicloud/pop-core: signature V1, everything in the query (GET) or in a form body (POST).
function popCore(method) {
  const { RPCClient } = require('@alicloud/pop-core');
  const client = new RPCClient(
    { endpoint: `http://${endpoint}`, accessKeyId, accessKeySecret, apiVersion: '2014-05-26' },
    true,
  );
  return async (action, params) => {
    const [reply] = await client.request(action, { RegionId: region, ...params }, { method });
    return reply;
  };
}

// @alicloud/ecs20140526: signature ACS3-HMAC-SHA256, a class for each request.
function ecs() {
  const sdk = require('@alicloud/ecs20140526');
  const { Config } = require('@alicloud/openapi-client');
  const client = new sdk.default(
    new Config({
      accessKeyId,
      accessKeySecret,
      endpoint,
      protocol: 'http',
      regionId: region,
    }),
  );
  // A class of the client's for a request, and for each thing in its lists.
  function made(kind, params) {
    const fields = {};
    for (const [field, name] of Object.entries(sdk[kind].names())) {
      if (!(name in params)) continue;
      const one = (value) => (value instanceof Object ? made(kind + name, value) : value);
      fields[field] = Array.isArray(params[name]) ? params[name].map(one) : params[name];
    }
    return new sdk[kind](fields);
  }
  return async (action, params) => {
    const method = action[0].toLowerCase() + action.slice(1);
    const response = await client[method](made(`${action}Request`, params));
    return response.body.toMap();
  };
}

function described(error) {
  const status = error.statusCode || (error.entry && error.entry.response.statusCode);
  return { status, code: error.code, message: error.message };
}

async function main() {
  const call = { 'pop-get': () => popCore('GET'), 'pop-post': () => popCore('POST'), ecs }[kind]();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { action, params } = JSON.parse(line);
    let answer;
    try {
      answer = { reply: await call(action, params) };
    } catch (error) {
      answer = { error: described(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
