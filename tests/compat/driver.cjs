// Drives one published Node SDK for a test: commands come on stdin, answers and events go to stdout, JSON lines.
// It uses the client's public API alone, in the spelling of its generation: node driver.cjs FOLDER
'use strict'

const { createRequire } = require('node:module')
const path = require('node:path')
const readline = require('node:readline')

const folder = process.argv[2]
const load = createRequire(path.join(folder, 'package.json'))
const sdk = load('iii-sdk')
const [major, minor] = path.basename(folder).split('-')[1].split('.').map(Number)
const before = (a, b) => major < a || (major === a && minor < b)

const answers = process.stdout.write.bind(process.stdout)
process.stdout.write = process.stderr.write.bind(process.stderr) // what a client prints must not mix with the answers
const say = (message) => answers(JSON.stringify(message) + '\n')

let client
const functions = new Map()
const triggers = new Map()
const types = new Map()
let unsubscribe

const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

// What the functions of the tests do.
const kinds = {
  echo: (payload) => payload,
  add: ({ a, b }) => a + b,
  fail: ({ text }) => { throw new Error(text) },
  null: () => null,
  big: ({ size }) => 'x'.repeat(size),
  slow: async ({ seconds }) => { await wait(seconds); return 'late' },
  relay: ({ to, payload, queue }) => commands.call({ function_id: to, payload, action: queue && { queue } }),
}

const bytesOf = async (reader) => {
  let size = 0
  for await (const chunk of reader.stream) size += chunk.length
  return size
}

const kindsWithChannels = {
  http_json: async ({ path_params, query_params, body, method }) => (
    { status_code: 201, headers: { 'X-Client': 'yes' }, body: { path_params, query_params, body, method } }
  ),
  http_upload: async ({ request_body }) => ({ status_code: 200, body: { size: await bytesOf(request_body) } }),
  http_stream: async ({ response }) => {
    response.sendMessage(JSON.stringify({ type: 'set_status', status_code: 206 }))
    response.sendMessage(JSON.stringify({ type: 'set_headers', headers: { 'content-type': 'text/event-stream' } }))
    for (let number = 0; number < 4; number++) response.stream.write(Buffer.from(`data: ${number}\n\n`))
    response.stream.end()
  },
  channel_send: async ({ writer, records }) => {
    writer.sendMessage('begin')
    for (const record of records) writer.stream.write(Buffer.from(JSON.stringify(record) + '\n'))
    await new Promise((resolve) => writer.stream.write(Buffer.alloc(0), resolve))
    writer.sendMessage('end')
    writer.stream.end()
    return records.length
  },
  channel_stats: async ({ reader }) => {
    const texts = []
    reader.onMessage((text) => texts.push(text))
    const chunks = []
    for await (const chunk of reader.stream) chunks.push(chunk)
    const values = Buffer.concat(chunks).toString().split('\n').filter(Boolean).map((line) => JSON.parse(line).value)
    const sum = values.reduce((a, b) => a + b, 0)
    return { sum, average: sum / values.length, min: Math.min(...values), max: Math.max(...values), texts }
  },
  channel_count: async ({ writer, words }) => {
    let total = 0
    words.forEach((word, index) => {
      total += word.length
      writer.sendMessage(JSON.stringify({ done: index + 1, of: words.length }))
    })
    writer.stream.write(Buffer.from(JSON.stringify({ words, total })))
    writer.stream.end()
    return total
  },
  channel_follow: async ({ reader }) => {
    const progress = []
    reader.onMessage((text) => progress.push(JSON.parse(text)))
    const chunks = []
    for await (const chunk of reader.stream) chunks.push(chunk)
    return { progress, result: JSON.parse(Buffer.concat(chunks).toString()) }
  },
  channel_digest: async ({ reader }) => {
    const hash = require('node:crypto').createHash('sha256')
    let size = 0
    for await (const chunk of reader.stream) {
      hash.update(chunk)
      size += chunk.length
    }
    return { size, sha256: hash.digest('hex') }
  },
  http_hang: async ({ response }) => {
    response.stream.write(Buffer.from('half'))
    await wait(60)
  },
}

const describe = (error) => {
  let { code, message } = error ?? {}
  message ??= String(error)
  if (code === undefined && /timeout|timed out/i.test(message)) code = 'TIMEOUT'
  if (message.startsWith(`${code}: `)) message = message.slice(code.length + 2) // since 0.11 the text begins with the code
  return { kind: error?.constructor?.name ?? typeof error, code: code ?? null, message }
}

const record = (event) => async (config) => {
  const { id, function_id, config: settings, metadata } = config
  say({ event, id, function_id, config: settings ?? null, metadata: metadata ?? null })
}

const commands = {
  connect({ url, ...options }) {
    client = sdk.registerWorker(url, options)
    return 'connecting'
  },
  register({ function_id, kind, sync, ...details }) {
    const run = (payload, metadata) => {
      say({ event: 'handled', function_id, payload: payload ?? null, metadata: metadata ?? null })
      return kinds[kind](payload)
    }
    const handler = kindsWithChannels[kind] ?? (sync ? run : async (payload, metadata) => run(payload, metadata))
    functions.set(function_id, before(0, 10)
      ? client.registerFunction({ id: function_id, ...details }, handler)
      : client.registerFunction(function_id, handler, details))
    return null
  },
  unregister({ function_id }) {
    functions.get(function_id).unregister()
    functions.delete(function_id)
    return null
  },
  call({ action, timeout_ms, ...request }) {
    if (action) request.action = action.queue ? sdk.TriggerAction.Enqueue({ queue: action.queue }) : sdk.TriggerAction.Void()
    if (timeout_ms !== undefined) request.timeoutMs = timeout_ms
    return client.trigger(request)
  },
  async is_undefined(request) {
    return (await client.trigger(request)) === undefined
  },
  create_stream({ stream_name }) {
    const groups = new Map()
    const group = (id) => groups.get(id) ?? groups.set(id, new Map()).get(id)
    const shelf = {
      get: async ({ group_id, item_id }) => group(group_id).get(item_id),
      set: async ({ group_id, item_id, data }) => {
        const old_value = group(group_id).get(item_id)
        group(group_id).set(item_id, data)
        return { old_value, new_value: data }
      },
      delete: async ({ group_id, item_id }) => {
        const old_value = group(group_id).get(item_id)
        group(group_id).delete(item_id)
        return { old_value }
      },
      list: async ({ group_id }) => [...group(group_id).values()],
      listGroups: async () => [...groups.keys()],
    }
    if (client.createStream) client.createStream(stream_name, shelf)
    else load('iii-sdk/helpers').createStream(client, stream_name, shelf)
    return null
  },
  log({ message, data }) {
    const Logger = sdk.Logger ?? load('@iii-dev/helpers/observability').Logger
    new Logger().info(message, data)
    return null
  },
  register_service({ service }) {
    client.registerService(service)
    return null
  },
  register_trigger({ name, trigger }) {
    triggers.set(name, client.registerTrigger(trigger))
    return null
  },
  unregister_trigger({ name }) {
    triggers.get(name).unregister()
    triggers.delete(name)
    return null
  },
  provide({ trigger_type, refuse }) {
    const bound = record('bound')
    const registerTrigger = async (config) => {
      await bound(config)
      if (refuse) throw new Error(refuse)
    }
    client.registerTriggerType(trigger_type, { registerTrigger, unregisterTrigger: record('unbound') })
    types.set(trigger_type.id, trigger_type)
    return null
  },
  unprovide({ type_id }) {
    client.unregisterTriggerType(types.get(type_id))
    types.delete(type_id)
    return null
  },
  list({ what, ...options }) {
    const method = { functions: 'listFunctions', workers: 'listWorkers', triggers: 'listTriggers' }[what]
    return client[method](...Object.values(options))
  },
  functions_available({ on }) {
    if (on) {
      unsubscribe = client.onFunctionsAvailable((rows) => {
        say({ event: 'functions_available', ids: rows.map((row) => row.function_id) })
      })
    } else unsubscribe()
    return null
  },
  async stop() {
    await client.shutdown()
    return null
  },
}

const obey = async (line) => {
  const { command, do: verb, with: details } = JSON.parse(line)
  try {
    say({ answer: command, result: (await commands[verb](details)) ?? null })
  } catch (error) {
    console.error(error)
    say({ answer: command, error: describe(error) })
  }
}

process.on('unhandledRejection', (error) => say({ event: 'unhandled', error: describe(error) }))
readline.createInterface({ input: process.stdin }).on('line', obey).on('close', () => process.exit(0))
