/** Search in the whole log, also in what is not on the page, with a list of what was found; a click shows the place. */

import { element, setText } from '../dom';
import { Agent, Search, scan, size } from '../page';
import type { Words } from '../words';

/** A line that was found: its event, and words that stand in it. */
export interface Place {
  readonly seq: number;
  readonly text: string;
}

interface Hit {
  readonly line: { readonly seq: number; readonly stream: string; readonly number?: number };
  readonly excerpt: string;
  readonly at: number;
  readonly length: number;
}

export class WholeSearch {
  readonly node = element('div', 'mlmagics-hits');
  private readonly list = element('ol', 'mlmagics-hits-list');
  private readonly state = element('span', '');
  private running: AbortController | null = null;

  constructor(
    private readonly agent: Agent,
    private readonly jobId: number,
    private readonly trans: Words,
    private readonly show: (place: Place) => void
  ) {
    const close = element('button', 'jp-Button mlmagics-button', trans.__('Close'));
    close.type = 'button';
    close.addEventListener('click', () => this.close());
    this.state.setAttribute('role', 'status');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Found in the whole log'));
    this.node.append(element('p', '', this.state, close), this.list);
    this.node.hidden = true;
    this.node.addEventListener('keydown', event => event.key === 'Escape' && this.close());
  }

  close(): void {
    this.running?.abort();
    this.node.hidden = true;
  }

  async search(text: string): Promise<void> {
    const { trans } = this;
    this.running?.abort();
    const { signal } = (this.running = new AbortController());
    this.list.replaceChildren();
    this.node.hidden = false;
    const search = new Search(text, (hit: Hit) => this.add(hit));
    const told = (length: number): void => setText(this.state, trans.__('Searching, %1 read: %2', size(length), search.told));
    told(0);
    try {
      await scan(this.agent, this.jobId, { signal, each: (line: string) => search.take(line), told });
    } catch (error) {
      if (!signal.aborted) {
        const why = error instanceof Error ? error.message : String(error);
        setText(this.state, trans.__('The search ended early (%1): %2', why, search.told));
      }
      return;
    }
    search.finish();
    setText(this.state, trans.__('In the whole log: %1', search.told));
  }

  private add({ line, excerpt, at, length }: Hit): void {
    const place = element('span', 'mlmagics-hits-place', line.number ? `${line.stream} ${line.number}` : line.stream);
    const mark = element('mark', '', excerpt.slice(at, at + length));
    const button = element('button', '', place, element('span', '', excerpt.slice(0, at), mark, excerpt.slice(at + length)));
    button.type = 'button';
    button.addEventListener('click', () => this.show({ seq: line.seq, text: excerpt }));
    this.list.append(element('li', '', button));
  }
}
