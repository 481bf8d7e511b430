/** What a job left behind: its results and its files, to be downloaded. */

import { Refused } from "./api.js";
import { byId, element, save, say, setText } from "./dom.js";
import { plural, size } from "./format.js";
import { oneLine } from "./terminal.js";

const LISTED = 200;

export class Left {
  #agent;
  #jobId;
  #files = new Set();
  #results = new Set();

  constructor(agent, jobId) {
    this.#agent = agent;
    this.#jobId = jobId;
  }

  /** Read the lists of the agent: the log may be shown without the lines that tell of these. */
  async load() {
    const { files = [] } = await this.#list("files");
    for (const file of files) if (file.type === "file") this.file(file);
    const { results = [] } = await this.#list("results");
    for (const result of results) this.result(result);
  }

  async #list(kind) {
    try {
      return await this.#agent.persist(`jobs/${this.#jobId}/${kind}`, () => {});
    } catch (error) {
      if (error instanceof Refused) return {}; // they are gone before the job is
      throw error;
    }
  }

  file({ path, size: bytes }) {
    if (this.#files.has(path)) return;
    this.#files.add(path);
    byId("files").hidden = false;
    setText(byId("files-count"), plural(this.#files.size, "file"));
    byId("files-more").hidden = this.#files.size <= LISTED;
    setText(byId("files-more"), `${plural(this.#files.size - LISTED, "more file")} not listed here; %fetch --files gets them all.`);
    if (this.#files.size > LISTED) return;
    byId("file-list").append(element("li", {}, this.#link(path, ["files", ...path.split("/")]), ` ${size(bytes)}`));
  }

  result({ name, kind, size: bytes, format, reason }) {
    if (this.#results.has(name)) return;
    this.#results.add(name);
    byId("results").hidden = false;
    setText(byId("results-count"), plural(this.#results.size, "result"));
    const item = reason
      ? element("li", {}, oneLine(name), element("span", { className: "aside" }, ` not kept: ${oneLine(reason)}`))
      : element("li", {}, this.#link(name, ["results", name], `${name}.${extension(format)}`), ` ${oneLine(kind)}, ${size(bytes)}`);
    byId("result-list").append(item);
  }

  /** A button that downloads what lies at `parts`, under `name` or the last of them. */
  #link(label, parts, name = parts.at(-1)) {
    // An address with these would be another one.
    if (parts.some((part) => ["", ".", ".."].includes(part))) return oneLine(label);
    const button = element("button", { type: "button", className: "link" }, oneLine(label));
    const path = `jobs/${this.#jobId}/${parts.map(encodeURIComponent).join("/")}`;
    button.addEventListener("click", () => download(this.#agent, button, path, name));
    return button;
  }
}

/** What a file of this format is called; a format is a plain word. */
const extension = (format) => (/^[a-z0-9]{1,12}$/.test(format ?? "") ? format : "bin");

/** Have the browser save what `path` gives; the button tells how it goes. */
export async function download(agent, button, path, name) {
  const label = button.textContent;
  button.disabled = true;
  button.textContent = "Downloading…";
  try {
    const response = await agent.request(path);
    save(await response.blob(), name);
    button.textContent = label;
  } catch (error) {
    button.textContent = `${label}: not downloaded`;
    button.title = error.message;
    say(`Not downloaded: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}
