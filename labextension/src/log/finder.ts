/** Search in the lines of a log that are on the page: all are marked, one is the current. */

import type { LogView } from '../page';
import type { Words } from '../words';

const PAUSE_MS = 200;
/** More are counted but not marked. */
const MARKED = 2000;

interface Match {
  readonly node: HTMLElement;
  readonly start: number;
  readonly end: number;
}

export class Finder {
  private found: Match[] = [];
  private current = -1;
  private timer = 0;

  /** Searches in the children of `list` for what `field` says, tells the count in `count`, offers `whole` where some is not there. */
  constructor(
    private readonly list: HTMLElement,
    private readonly view: LogView,
    private readonly field: HTMLInputElement,
    private readonly count: HTMLElement,
    /** Searches in all of the log. */
    private readonly whole: HTMLElement,
    private readonly trans: Words
  ) {
    whole.hidden = true;
    field.addEventListener('input', () => this.start());
    field.addEventListener('keydown', event => {
      if (event.key === 'Enter') {
        this.step(event.shiftKey ? -1 : 1);
      } else if (event.key === 'Escape' && field.value) {
        field.value = '';
        this.start();
      } else {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    });
  }

  /** The list has changed: look again, soon. */
  refresh(): void {
    if (this.field.value) {
      this.timer ||= window.setTimeout(() => this.search(), PAUSE_MS);
    }
  }

  /** Make the first match in `node` the current one. */
  go(node: HTMLElement): void {
    this.search();
    this.current = this.found.findIndex(match => match.node === node);
    const match = this.found[this.current];
    this.view.reveal((match && rangeOf(match)) ?? node);
    this.tell();
  }

  dispose(): void {
    window.clearTimeout(this.timer);
    this.unmark();
  }

  private start(): void {
    this.current = -1;
    this.search();
  }

  private step(by: number): void {
    this.search();
    const count = this.found.length;
    if (count) {
      this.current = this.current < 0 ? this.first(by) : (this.current + by + count) % count;
      const match = this.found[this.current];
      this.view.reveal(rangeOf(match) ?? match.node);
      this.tell();
    }
  }

  private search(): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
    const wanted = this.field.value.toLowerCase();
    const before = this.found[this.current];
    this.found = [];
    if (wanted) {
      for (const node of this.list.children) {
        this.searchIn(node as HTMLElement, wanted);
      }
    }
    this.current = this.found.findIndex(one => one.node === before?.node && one.start === before.start);
    this.tell();
  }

  private searchIn(node: HTMLElement, wanted: string): void {
    const text = (node.textContent ?? '').toLowerCase();
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      this.found.push({ node, start: at, end: at + wanted.length });
    }
  }

  /** Where to begin: the first one that is in view or below; upwards the last one. */
  private first(by: number): number {
    if (by < 0) {
      return this.found.length - 1;
    }
    const top = this.list.parentElement?.getBoundingClientRect().top ?? 0;
    return Math.max(0, this.found.findIndex(({ node }) => node.getBoundingClientRect().bottom > top));
  }

  private tell(): void {
    const { found, current, trans } = this;
    this.mark();
    this.whole.hidden = !this.field.value || !(this.view.dropped || this.view.partial || this.view.reading);
    this.count.textContent = !this.field.value
      ? ''
      : !found.length
        ? trans.__('not found')
        : current < 0
          ? trans.__('%1 found', found.length)
          : trans.__('%1 of %2', current + 1, found.length);
  }

  private mark(): void {
    if (!('highlights' in CSS)) {
      return; // an older browser: it scrolls, and marks nothing
    }
    const others = this.found.slice(0, MARKED).filter((_, at) => at !== this.current);
    const chosen = this.found.slice(this.current < 0 ? this.found.length : this.current).slice(0, 1);
    CSS.highlights.set('mlmagics-found', new Highlight(...ranges(others)));
    CSS.highlights.set('mlmagics-current', new Highlight(...ranges(chosen)));
  }

  private unmark(): void {
    if ('highlights' in CSS) {
      CSS.highlights.delete('mlmagics-found');
      CSS.highlights.delete('mlmagics-current');
    }
  }
}

const ranges = (matches: readonly Match[]): Range[] =>
  matches.map(rangeOf).filter((range): range is Range => range !== null);

/** The part of the page where `match` stands; it may go over several text nodes. */
function rangeOf({ node, start, end }: Match): Range | null {
  const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  let isOpen = false;
  for (let at = 0; walk.nextNode(); ) {
    const text = walk.currentNode as Text;
    if (!isOpen && start < at + text.length) {
      range.setStart(text, start - at);
      isOpen = true;
    }
    if (isOpen && end <= at + text.length) {
      range.setEnd(text, end - at);
      return range;
    }
    at += text.length;
  }
  return null;
}
