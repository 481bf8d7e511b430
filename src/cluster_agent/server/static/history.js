/** The history page of one job: gets a token, then shows the job and follows its log. */

import { Agent, LENT, Refused } from "./api.js";
import { byId, copies, setText } from "./dom.js";
import { Entry } from "./entry.js";
import { Page } from "./page.js";

const [, base, jobId] = /^(.*)\/history\/(\d{1,15})\/?$/.exec(location.pathname) ?? [null, "", ""];
const address = `${location.origin}${location.pathname}`;
const entry = new Entry(base, byId("job"), jobId);
/** Whether a job was shown since the page was loaded: another token then begins with a fresh page. */
let shown = false;

function tellWays() {
  const job = jobId || "42";
  setText(byId("entry-magic"), `%logs --url ${address} --open`);
  setText(byId("entry-shell"), `mlmagics open ${address}`);
  setText(byId("entry-short-magic"), `%logs gpu-box/${job} --open`);
  setText(byId("entry-short-shell"), `mlmagics open gpu-box/${job}`);
}

async function enter() {
  if (!jobId) {
    entry.ask("This address is not that of a job.");
    return;
  }
  if (LENT) {
    await open("", false);
    return;
  }
  const problem = await entry.useCode();
  const { token, pasted } = entry.kept;
  if (token) await open(token, pasted);
  else entry.ask(problem);
}

async function open(token, pasted) {
  const agent = new Agent(base, token);
  try {
    const job = await agent.persist(`jobs/${jobId}`, () => byId("job").hidden && entry.ask("The agent does not answer; trying again…"));
    if (pasted) entry.keep(token);
    entry.admit();
    shown = true;
    await new Page(agent, job, { address, entry }).run();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) entry.forget();
    entry.ask(error.status === 401 ? "That token is not valid, or not any longer." : error.message);
  }
}

tellWays();
for (const button of document.querySelectorAll("[data-copy]")) copies(button, () => byId(button.dataset.copy).textContent);
entry.whenPasted((token) => {
  if (shown) {
    entry.forget();
    entry.keep(token);
    location.reload();
  } else open(token, true);
});
// A new code in the address of a page that is open already.
window.addEventListener("hashchange", () => location.hash.includes("code=") && location.reload());
enter();
