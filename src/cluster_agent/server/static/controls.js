/** What a reader can do on the page of a job: buttons, keys, and, who may, cancel it. */

import { LENT } from "./api.js";
import { byId, copies, copy, say, setText } from "./dom.js";
import { isActive } from "./format.js";
import { useKeys } from "./keys.js";
import { download } from "./left.js";

export class Controls {
  #agent;
  #address;
  #summary;
  #view;
  #me = "";

  /** `go` has what leads to other places of the log: `start`, `end`, `on`. */
  constructor(agent, { address, entry, summary, view, finder, go }) {
    this.#agent = agent;
    this.#address = address;
    this.#summary = summary;
    this.#view = view;
    this.#wireLog(go);
    copies(byId("copy-url"), () => this.#url);
    copies(byId("copy-command"), () => this.#command);
    byId("forget").addEventListener("click", () => {
      entry.forget();
      location.reload();
    });
    this.#wireKeys(finder, go);
    addEventListener("beforeprint", () => document.querySelectorAll("#cell, #spec").forEach((part) => (part.open = true)));
    this.#learnWhoLooks();
  }

  get #job() {
    return this.#summary.job;
  }

  get #url() {
    return this.#job.history_url || this.#address;
  }

  /** Short for whoever has submitted the job: the name of a cluster is a person's own. */
  get #command() {
    const { cluster, user, job_id } = this.#job;
    return cluster && user === this.#me ? `%logs ${cluster}/${job_id}` : `%logs --url ${this.#url}`;
  }

  #wireLog(go) {
    for (const stream of ["stdout", "stderr"]) {
      const button = byId(`save-${stream}`);
      const { job_id } = this.#job;
      button.addEventListener("click", () => download(this.#agent, button, `jobs/${job_id}/output/${stream}`, `job-${job_id}-${stream}.log`));
    }
    byId("wrap").addEventListener("change", ({ target }) => byId("log").classList.toggle("no-wrap", !target.checked));
    byId("follow").addEventListener("change", ({ target }) => (target.checked ? go.end() : this.#view.hold()));
    byId("from-start").addEventListener("click", go.start);
    byId("continue").addEventListener("click", go.on);
    byId("to-end").addEventListener("click", go.end);
  }

  #wireKeys(finder, go) {
    const box = byId("log-box");
    const toggle = (part) => {
      if (!part.hidden) part.open = !part.open;
    };
    useKeys([
      ["/", "search in the log", () => finder.focus()],
      ["n", "next place found", () => finder.step(1)],
      ["N", "place found before", () => finder.step(-1)],
      ["f", "follow the end, or stay here", () => byId("follow").click()],
      ["w", "wrap long lines, or not", () => byId("wrap").click()],
      ["g", "top of what is shown", () => box.scrollTo({ top: 0 })],
      ["G", "end of the log", go.end],
      ["c", "copy the command that shows this in a notebook", () => this.#copyCommand()],
      ["e", "show or hide the cell", () => toggle(byId("cell"))],
      ["s", "show or hide what was asked for", () => toggle(byId("spec"))],
      ["?", "this list"],
      ["Enter Shift+Enter", "in the search: next, and before"],
      ["Esc", "end the search; close this list"],
    ]);
  }

  async #copyCommand() {
    await copy(this.#command);
    say(`Copied: ${this.#command}`);
  }

  /** Who looks, for the command, and to offer to cancel to those who may; a token had for a code only looks. */
  async #learnWhoLooks() {
    let info;
    try {
      info = await this.#agent.persist("info", () => {});
    } catch {
      return; // a token that may not even ask may not cancel
    }
    this.#me = info.user;
    const job = this.#job;
    if (LENT || !isActive(job) || job.stopping || (info.role !== "admin" && !(info.role === "user" && info.user === job.user))) return;
    this.#offerCancel(job);
  }

  #offerCancel(job) {
    const dialog = byId("confirm");
    const button = byId("cancel");
    button.hidden = false;
    button.addEventListener("click", () => {
      setText(byId("confirm-title"), `Cancel ${job.name ? `${job.name}, job ${job.job_id}` : `job ${job.job_id}`}?`);
      dialog.showModal();
    });
    byId("confirm-no").addEventListener("click", () => dialog.close());
    byId("confirm-yes").addEventListener("click", () => {
      dialog.close();
      this.#cancel(button);
    });
  }

  async #cancel(button) {
    button.disabled = true;
    try {
      this.#summary.update(await this.#agent.json(`jobs/${this.#job.job_id}/cancel`, { method: "POST", body: { reason: "" } }));
      button.hidden = true;
    } catch (error) {
      button.disabled = false;
      setText(byId("connection"), `Not cancelled: ${error.message}`);
      say(`Not cancelled: ${error.message}`);
    }
  }
}
