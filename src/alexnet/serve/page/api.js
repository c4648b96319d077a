/** Requests to the server that this page is of. */
import { memory } from "./base.js";

const TOKEN = "alexnet-token";
const MAX_TRIES = 10;
const LARGE_BYTES = 16e6;

/** What is wrong, as one sentence for people. */
export class Problem extends Error {
  /**
   * @param {string} detail
   * @param {number} status of the answer; 0 where there was none
   * @param {number} retrySeconds after which a busy server may be asked again
   */
  constructor(detail, status = 0, retrySeconds = 0) {
    super(sentence(detail));
    this.status = status;
    this.retrySeconds = retrySeconds;
  }
}

/** The text with a capital letter and a full stop. */
export function sentence(text) {
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}

/**
 * Asks the server; waits while it is busy, and asks the reader for its token.
 * @typedef {object} Api
 * @property {(path: string, parameters?: object, options?: Options) => Promise<any>} json
 * @property {(path: string, parameters?: object) => Promise<Blob>} blob
 * @typedef {{body?: BodyInit, type?: string, onWait?: (problem: Problem) => void}} Options
 *
 * @param {(isWrong: boolean) => Promise<string>} askToken gives the token that the reader enters
 * @returns {Api}
 */
export function createApi(askToken) {
  const ask = (path, parameters, options) => askUntilAnswered(askToken, path, parameters, options);
  return {
    json: async (path, parameters = {}, options = {}) =>
      read(await ask(path, parameters, options), "json"),
    blob: async (path, parameters = {}) => read(await ask(path, parameters, {}), "blob"),
  };
}

async function askUntilAnswered(askToken, path, parameters, options) {
  for (let tries = 1; ; tries++) {
    const token = memory.get(TOKEN);
    try {
      return await send(path, parameters, options, token);
    } catch (problem) {
      if (problem.status === 401) {
        if (memory.get(TOKEN) === token) memory.set(TOKEN, await askToken(Boolean(token)));
      } else if (problem.status === 503 && tries < MAX_TRIES) {
        options.onWait?.(problem);
        await new Promise((wake) => setTimeout(wake, 1000 * problem.retrySeconds));
      } else throw problem;
    }
  }
}

async function send(path, parameters, { body, type }, token) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (type) headers["Content-Type"] = type;
  const address = `${path}?${new URLSearchParams(parameters)}`;
  let response;
  try {
    response = await fetch(address, { method: body ? "POST" : "GET", headers, body });
  } catch {
    const isLarge = body?.byteLength > LARGE_BYTES; // it may have hung up while it was sent
    const why = isLarge ? "the image may be too large for it" : "it may have ended, or the network is gone";
    throw new Problem(`the server does not answer; ${why}`);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  let detail = `the server answers ${response.status}`;
  try {
    detail = (await response.json()).detail ?? detail;
  } catch { /* of a proxy, or cut off */ }
  const retrySeconds = parseFloat(response.headers.get("Retry-After")) || 1;
  return new Problem(detail, response.status, retrySeconds);
}

async function read(response, kind) {
  try {
    return await response[kind]();
  } catch {
    throw new Problem("the answer of the server was cut off");
  }
}

/**
 * The bytes of a file, with the type under which they are sent.
 * @param {File} file
 * @returns {Promise<Options>}
 */
export async function fileBody(file) {
  try {
    const isImage = file.type.startsWith("image/");
    return { body: await file.arrayBuffer(), type: isImage ? file.type : "application/octet-stream" };
  } catch {
    throw new Problem(`${file.name} cannot be read: it is a folder, or has changed`);
  }
}
