// The clients of Node, unmodified. A task a line on standard input, an outcome a line on standard output, in order.
// The fields are those of `Ask` and `Outcome` in ../clients.py.

import readline from "node:readline";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";

const QUESTION = "Hello";
const RESULT = "18 degrees";
const HELLO = [{ role: "user", content: QUESTION }];

const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
  required: ["city", "unit"],
};
const TOOL = {
  type: "function",
  function: { name: "get_weather", description: "The weather of a city", parameters: PARAMETERS },
};
const WEATHER = {
  type: "object",
  properties: {
    city: { type: "string" },
    degrees: { type: "integer" },
    hours: { type: "array", items: { type: "number" } },
    rain: { type: "boolean" },
  },
  required: ["city", "degrees", "hours", "rain"],
  additionalProperties: false,
};

function heard(out, piece, finish) {
  if (piece) out.pieces.push(piece);
  if (finish) out.finishes.push(finish);
}

async function openai(ask, out) {
  const options = ask.retries === null ? {} : { maxRetries: ask.retries };
  const client = new OpenAI({ baseURL: ask.base, apiKey: ask.key, timeout: ask.timeout * 1000, ...options });
  const create = (more) => client.chat.completions.create({ model: ask.model, messages: HELLO, ...more });
  const withTool = ["tool", "tool stream", "round trip"].includes(ask.task) ? { tools: [TOOL] } : {};
  const keep = (calls) =>
    out.calls.push(...(calls ?? []).map((call) => [call.function.name, JSON.parse(call.function.arguments)]));

  if (ask.task === "schema") {
    const response_format = { type: "json_schema", json_schema: { name: "weather", schema: WEATHER, strict: true } };
    const answer = await client.chat.completions.parse({ model: ask.model, messages: HELLO, response_format });
    heard(out, null, answer.choices[0].finish_reason);
    out.parsed = answer.choices[0].message.parsed;
  } else if (ask.task === "stream") {
    for await (const chunk of await create({ stream: true })) {
      for (const choice of chunk.choices) heard(out, choice.delta.content, choice.finish_reason);
    }
  } else if (ask.task === "tool stream") {
    // The SDK's own helper puts the pieces together.
    const stream = client.chat.completions.stream({ model: ask.model, messages: HELLO, ...withTool });
    const final = await stream.finalChatCompletion();
    heard(out, final.choices[0].message.content, final.choices[0].finish_reason);
    keep(final.choices[0].message.tool_calls);
  } else {
    let answer = (await create(withTool)).choices[0];
    keep(answer.message.tool_calls);
    if (ask.task === "round trip") {
      const result = { role: "tool", tool_call_id: answer.message.tool_calls[0].id, content: RESULT };
      answer = (await create({ messages: [...HELLO, answer.message, result], ...withTool })).choices[0];
    }
    heard(out, answer.message.content, answer.finish_reason);
  }
}

async function ai(ask, out) {
  const provider = createOpenAICompatible({
    name: "backstop",
    baseURL: ask.base,
    apiKey: ask.key,
    supportsStructuredOutputs: true,
  });
  const options = {
    model: provider(ask.model),
    prompt: QUESTION,
    timeout: ask.timeout * 1000,
    ...(ask.retries === null ? {} : { maxRetries: ask.retries }),
  };
  const description = { description: "The weather of a city", inputSchema: jsonSchema(PARAMETERS) };
  const execute = ask.task === "round trip" ? { execute: async () => RESULT } : {};
  if (["tool", "tool stream", "round trip"].includes(ask.task)) {
    options.tools = { get_weather: tool({ ...description, ...execute }) };
    options.stopWhen = stepCountIs(2);
  }
  const keep = (calls) => out.calls.push(...calls.map((call) => [call.toolName, call.input]));

  if (ask.task === "schema") {
    const answer = await generateText({ ...options, output: Output.object({ schema: jsonSchema(WEATHER) }) });
    heard(out, null, answer.finishReason);
    out.parsed = answer.output;
  } else if (ask.task === "text stream") {
    // Here an error is only told to `onError`: what the loop sees just ends.
    const stream = streamText({ ...options, onError: () => {} });
    for await (const piece of stream.textStream) heard(out, piece, null);
    heard(out, null, await stream.finishReason);
  } else if (ask.task.endsWith("stream")) {
    // Errors come as parts of the stream; without `onError` they are printed as well.
    const stream = streamText({ ...options, onError: () => {} });
    for await (const part of stream.fullStream) {
      if (part.type === "text-delta") heard(out, part.text, null);
      else if (part.type === "tool-call") keep([part]);
      else if (part.type === "finish-step") heard(out, null, part.finishReason);
      else if (part.type === "error") throw part.error;
      else if (part.type === "abort") throw Object.assign(new Error("aborted"), { name: "AbortPart" });
    }
  } else {
    const answer = await generateText(options);
    keep(answer.steps[0].toolCalls);
    heard(out, answer.text, answer.finishReason);
  }
}

function failed(error) {
  // What the retries gave up on.
  const last = error?.lastError ?? error;
  const type = last?.constructor?.name === "Error" || last instanceof DOMException ? last.name : last?.constructor?.name;
  return {
    type: String(error === last ? type : `${error.constructor.name}(${type})`),
    status: last?.status ?? last?.statusCode ?? null,
    message: String(last?.message ?? JSON.stringify(last)),
  };
}

const CLIENTS = { "openai node": openai, "vercel ai": ai };

for await (const line of readline.createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line);
  const out = { pieces: [], finishes: [], calls: [], parsed: null, error: null };
  try {
    await CLIENTS[ask.client](ask, out);
  } catch (error) {
    out.error = failed(error);
  }
  process.stdout.write(JSON.stringify(out) + "\n");
}
