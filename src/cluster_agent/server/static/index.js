/** The page of an agent: what the box has and its jobs. Gets a token, then keeps itself up to date. */

import { Agent, Refused } from "./api.js";
import { Board } from "./board.js";
import { byId } from "./dom.js";
import { Entry } from "./entry.js";

const base = location.pathname.replace(/\/+$/, "");
const entry = new Entry(base, byId("board"));
let board = null;

async function open(token) {
  const agent = new Agent(base, token);
  try {
    const info = await agent.persist("info", () => board || entry.ask("The agent does not answer; trying again…"));
    // A link from one job's page: its token opens that page alone.
    await agent.json("jobs?limit=1");
    entry.keep(token);
    entry.admit();
    board = new Board(agent, info, base);
    await board.run();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) entry.forget();
    entry.ask(error.status === 401 ? "That token is not valid, or not any longer." : error.message);
  }
}

entry.whenPasted((token) => {
  entry.forget();
  // What another token was shown is gone with the page.
  if (board) {
    entry.keep(token);
    location.reload();
  } else open(token);
});
byId("forget").addEventListener("click", () => {
  entry.forget();
  location.reload();
});
if (entry.kept.token) open(entry.kept.token);
else entry.ask();
