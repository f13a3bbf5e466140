// The official SDKs of Node, unmodified, and their streams. A task a line on standard input, an outcome a line on standard
// output, in order. The fields are those of `Ask` and `Streamed` in ../streams.py.

import readline from "node:readline";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const HELLO = [{ role: "user", content: "Hello" }];
const NAME = "get_weather";
const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const STOPS = { end_turn: "stop", tool_use: "tool_calls" };

function openai(ask) {
  const client = new OpenAI({ baseURL: `${ask.url}/v1`, apiKey: ask.key, maxRetries: 0, defaultHeaders: ask.headers });
  const tools = ask.tool ? { tools: [{ type: "function", function: { name: NAME, parameters: PARAMETERS } }] } : {};
  const asked = { model: ask.model, messages: HELLO, stream_options: { include_usage: true }, ...tools };
  return [client.chat.completions, asked];
}

function chatted(out, chunk) {
  out.ids.push(chunk.id);
  for (const choice of chunk.choices) {
    if (choice.delta.role) out.begins += 1;
    if (choice.delta.content) out.pieces.push(choice.delta.content);
    if (choice.finish_reason) out.finishes.push(choice.finish_reason);
  }
  if (chunk.usage) out.usages.push([chunk.usage.prompt_tokens, chunk.usage.completion_tokens]);
}

async function chunks(ask, out) {
  const [completions, asked] = openai(ask);
  for await (const chunk of await completions.create({ ...asked, stream: true })) chatted(out, chunk);
}

async function completionStream(ask, out) {
  const [completions, asked] = openai(ask);
  const stream = completions.stream(asked);
  stream.on("chunk", (chunk) => chatted(out, chunk));
  const final = await stream.finalChatCompletion();
  const [choice] = final.choices;
  const calls = (choice.message.tool_calls ?? []).map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
  const usage = [final.usage.prompt_tokens, final.usage.completion_tokens];
  out.final = { id: final.id, text: choice.message.content ?? "", finish: choice.finish_reason, calls, usage };
}

function anthropic(ask) {
  const options = { baseURL: ask.url, apiKey: ask.key, maxRetries: 0, defaultHeaders: ask.headers };
  const tools = ask.tool ? { tools: [{ name: NAME, input_schema: PARAMETERS }] } : {};
  const thinking = ask.thinks ? { thinking: { type: "enabled", budget_tokens: 1024 } } : {};
  const asked = { model: ask.model, max_tokens: 3000, messages: HELLO, ...tools, ...thinking };
  return [new Anthropic(options).messages, asked];
}

function said(out, event) {
  if (event.type === "message_start") {
    out.begins += 1;
    out.ids.push(event.message.id);
  } else if (event.type === "content_block_delta" && event.delta.type === "text_delta") out.pieces.push(event.delta.text);
  else if (event.type === "message_delta") {
    out.finishes.push(STOPS[event.delta.stop_reason]);
    out.usages.push([event.usage.input_tokens ?? 0, event.usage.output_tokens]);
  }
}

async function events(ask, out) {
  const [messages, asked] = anthropic(ask);
  for await (const event of await messages.create({ ...asked, stream: true })) said(out, event);
}

async function messageStream(ask, out) {
  const [messages, asked] = anthropic(ask);
  const stream = messages.stream(asked);
  stream.on("streamEvent", (event) => said(out, event));
  const final = await stream.finalMessage();
  const text = final.content.map((block) => (block.type === "text" ? block.text : "")).join("");
  const calls = final.content.filter((block) => block.type === "tool_use").map((block) => [block.name, block.input]);
  const usage = [final.usage.input_tokens, final.usage.output_tokens];
  out.final = { id: final.id, text, finish: STOPS[final.stop_reason], calls, usage };
}

const CLIENTS = {
  "openai node, chunks": chunks,
  "openai node, helper": completionStream,
  "anthropic node, events": events,
  "anthropic node, helper": messageStream,
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line);
  const out = { ids: [], begins: 0, pieces: [], finishes: [], usages: [], final: null, error: null };
  try {
    await CLIENTS[ask.client](ask, out);
  } catch (error) {
    out.error = { type: error.constructor.name, status: error.status ?? null, message: String(error.message) };
  }
  process.stdout.write(JSON.stringify(out) + "\n");
}
