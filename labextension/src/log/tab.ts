/** The log of a job in a tab of the main area. */

import { MainAreaWidget } from '@jupyterlab/apputils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ToolbarButton, downloadIcon, launchIcon, stopIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { element, setText } from '../dom';
import { IDS } from '../commands';
import { panelIcon } from '../icons';
import { isActive, isMine, isSame } from '../model';
import { LogView, Refused, oneLine } from '../page';
import { reasonOf } from '../failures';
import type { Store } from '../store';
import type { JobView } from '../types';
import { title } from '../words';
import type { Words } from '../words';
import { Charts } from './charts';
import { shower } from './display';
import { Finder } from './finder';
import { Head } from './head';
import { Reading } from './reading';
import { WholeSearch } from './whole';
import type { Place } from './whole';

export interface LogOptions {
  readonly store: Store;
  readonly commands: CommandRegistry;
  readonly rendermime: IRenderMimeRegistry;
  readonly trans: Words;
}

const TICK_MS = 1000;

/** A tab with the log of `job`. */
export function logTab(job: JobView, options: LogOptions): MainAreaWidget<Log> {
  const content = new Log(job, options);
  const tab = new MainAreaWidget({ content });
  tab.id = `mlmagics-log-${job.cluster}-${job.job_id}-${job.agent_id}`;
  tab.title.label = title(job);
  tab.title.caption = `${job.ref} ${oneLine(job.name)}`.trim();
  tab.title.icon = panelIcon;
  tab.title.closable = true;
  content.fill(tab.toolbar);
  return tab;
}

export class Log extends Widget {
  private readonly head: Head;
  private readonly list = element('div', 'mlmagics-lines');
  private readonly box = element('div', 'mlmagics-box');
  private readonly figures = element('div', 'mlmagics-figures');
  private readonly empty = element('p', 'mlmagics-quiet');
  private readonly earlier = element('div', 'mlmagics-earlier');
  private readonly earlierText = element('span', '');
  private readonly end = element('button', 'jp-Button mlmagics-button');
  private readonly all = element('button', 'jp-Button mlmagics-button');
  private readonly connection = element('div', 'mlmagics-connection');
  private readonly search = element('input', 'mlmagics-search');
  private readonly found = element('span', 'mlmagics-found');
  private readonly follow = element('input', '');
  private readonly view: LogView;
  private readonly finder: Finder;
  private readonly charts: Charts;
  private readonly reading: Reading;
  private readonly whole: WholeSearch;
  /** What was searched for, until it is there. */
  private wanted: Place | null = null;
  private cancelButton: ToolbarButton | null = null;
  private timer = 0;
  private isAsking = false;

  constructor(
    private _job: JobView,
    private readonly options: LogOptions
  ) {
    super();
    this.addClass('mlmagics-log');
    const { store, rendermime, trans } = options;
    const agent = store.api.agent(_job.cluster);
    const blob = async (sha256: string): Promise<Blob> =>
      (await agent.request(`jobs/${_job.job_id}/blobs/${sha256}`)).blob();
    this.head = new Head(_job, trans);
    this.whole = new WholeSearch(agent, _job.job_id, trans, place => this.go(place));
    this.build();
    this.view = new LogView(this.box, this.list, blob, () => this.drawn(), shower(rendermime, isMine(_job), trans));
    this.finder = new Finder(this.list, this.view, this.search, this.found, this.all, trans);
    const metrics = element('div', 'mlmagics-charts');
    const use = element('div', 'mlmagics-charts');
    this.figures.append(metrics, use);
    this.charts = new Charts(_job, trans, metrics, use);
    this.reading = new Reading(agent, _job, this.view, trans, {
      figures: figures => {
        this.head.showProgress(figures.progress);
        this.charts.show(figures);
      },
      moved: () => void this.ask(),
      message: text => setText(this.connection, oneLine(text)),
      connected: yes => setText(this.connection, yes ? '' : trans.__('No contact with %1; trying again. A job goes on without it.', _job.cluster)),
      ended: () => void this.ask(),
      failed: error => this.fail(error)
    });
    store.changed.connect(this.update_, this);
  }

  get job(): JobView {
    return this._job;
  }

  /** Put the buttons of the log into `toolbar`. */
  fill(toolbar: MainAreaWidget<Log>['toolbar']): void {
    const { trans, commands, store } = this.options;
    const { cluster, job_id } = this._job;
    this.cancelButton = new ToolbarButton({
      icon: stopIcon,
      tooltip: trans.__('Cancel this job'),
      onClick: () => void commands.execute(IDS.cancel, { cluster, job_id })
    });
    const wrap = this.toggle(trans.__('Wrap'), trans.__('Break long lines'), true, yes =>
      this.list.classList.toggle('mlmagics-no-wrap', !yes)
    );
    const follow = this.toggle(trans.__('Follow'), trans.__('Stay at the end of the log'), true, yes =>
      yes ? this.toEnd() : this.view.hold(), this.follow);
    toolbar.addItem('cancel', this.cancelButton);
    toolbar.addItem('search', this.searchItem());
    toolbar.addItem('wrap', wrap);
    toolbar.addItem('follow', follow);
    for (const stream of ['stdout', 'stderr'] as const) {
      toolbar.addItem(stream, new ToolbarButton({
        icon: downloadIcon,
        label: stream,
        tooltip: trans.__('Download all that the job wrote to %1', stream),
        onClick: () => save(store.api.outputUrl(cluster, job_id, stream), `${cluster}-${job_id}-${stream}.txt`)
      }));
    }
    toolbar.addItem('history', new ToolbarButton({
      icon: launchIcon,
      tooltip: trans.__('Open the page of this job in a tab of the browser'),
      onClick: () => void commands.execute(IDS.openHistory, { cluster, job_id })
    }));
    this.showJob(this._job);
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.reading.stop();
    this.whole.close();
    this.finder.dispose();
    this.charts.dispose();
    this.options.store.changed.disconnect(this.update_, this);
    super.dispose();
  }

  protected override onAfterShow(): void {
    this.look();
  }

  protected override onAfterAttach(_message: Message): void {
    if (this.isVisible) {
      this.look();
    }
  }

  protected override onBeforeHide(): void {
    this.rest();
  }

  protected override onBeforeDetach(): void {
    this.rest();
  }

  protected override onActivateRequest(): void {
    this.box.focus();
  }

  private look(): void {
    this.reading.start();
    window.clearInterval(this.timer);
    this.timer = window.setInterval(() => isActive(this._job) && this.head.show(this._job), TICK_MS);
  }

  private rest(): void {
    this.reading.stop();
    window.clearInterval(this.timer);
  }

  private build(): void {
    const { trans } = this.options;
    this.box.tabIndex = 0;
    this.box.setAttribute('role', 'region');
    this.box.setAttribute('aria-label', trans.__('Log of %1', this._job.ref));
    this.connection.setAttribute('role', 'status');
    this.figures.setAttribute('role', 'region');
    this.figures.setAttribute('aria-label', trans.__('Charts'));
    const start = element('button', 'jp-Button mlmagics-button', trans.__('Read it from its start'));
    start.type = this.end.type = 'button';
    start.addEventListener('click', () => this.reading.restart('start'));
    setText(this.end, trans.__('Show its end'));
    this.end.addEventListener('click', () => this.toEnd());
    this.earlier.append(this.earlierText, ' ', start, ' ', this.end);
    this.box.append(this.earlier, this.list, this.empty);
    this.node.append(this.head.node, this.connection, this.whole.node, element('div', 'mlmagics-work', this.box, this.figures));
  }

  private searchItem(): Widget {
    const { trans } = this.options;
    this.search.type = 'search';
    this.search.placeholder = trans.__('Search');
    this.search.setAttribute('aria-label', trans.__('Search in this log; Enter goes to the next match'));
    this.found.setAttribute('role', 'status');
    this.all.type = 'button';
    setText(this.all, trans.__('Search all of it'));
    this.all.title = trans.__('Search also in what is not shown here');
    this.all.addEventListener('click', () => void this.whole.search(this.search.value));
    const item = new Widget({ node: element('div', 'mlmagics-find', this.search, this.found, this.all) });
    this.node.addEventListener('keydown', event => {
      if (event.key === '/' && event.target === this.box) {
        this.search.focus();
        event.preventDefault();
      }
    });
    return item;
  }

  private toggle(label: string, caption: string, on: boolean, act: (yes: boolean) => void, box = element('input', '')): Widget {
    box.type = 'checkbox';
    box.checked = on;
    box.addEventListener('change', () => act(box.checked));
    const node = element('label', 'mlmagics-toggle', box, label);
    node.title = caption;
    return new Widget({ node });
  }

  private toEnd(): void {
    if (this.view.reading) {
      this.reading.restart('end');
    } else {
      this.view.toEnd();
    }
  }

  /** Bring a place of the log into view, which is read again from there when it is not on the page. */
  private go(place: Place): void {
    this.wanted = place;
    if (!this.reveal()) {
      this.reading.readAround(place.seq);
    }
  }

  private reveal(): boolean {
    const node = this.wanted && this.view.nodeOf(this.wanted.seq, this.wanted.text);
    if (node) {
      this.wanted = null;
      this.finder.go(node as HTMLElement);
    }
    return node !== null;
  }

  private update_(): void {
    const known = this.options.store.state.jobs?.find(job => isSame(job, this._job));
    if (known) {
      this.showJob(known);
    }
  }

  private showJob(job: JobView): void {
    this._job = job;
    this.head.show(job);
    if (this.cancelButton) {
      this.cancelButton.setHidden(!isActive(job));
      this.cancelButton.enabled = !job.stopping;
    }
  }

  private async ask(): Promise<void> {
    if (this.isAsking) {
      return;
    }
    this.isAsking = true;
    try {
      const { api } = this.options.store;
      const job = await api.job(this._job.cluster, this._job.job_id);
      if (!this.isDisposed) {
        this.showJob(job);
        this.options.store.learn({ job });
      }
    } catch {
      // the log tells whether there is contact
    } finally {
      this.isAsking = false;
    }
  }

  private fail(error: unknown): void {
    const { trans } = this.options;
    const gone = error instanceof Refused && [404, 410].includes(error.status);
    setText(this.connection, gone ? trans.__('The log of %1 is not kept any more.', this._job.ref) : reasonOf(error));
    setText(this.empty, '');
  }

  private drawn(): void {
    const { trans } = this.options;
    const { view } = this;
    this.earlier.hidden = !view.partial && !view.dropped && !view.reading;
    this.end.hidden = !view.reading;
    setText(this.earlierText, view.reading ? trans.__('A part of the log, around what was found.') : trans.__('Earlier output is not shown here.'));
    this.follow.checked = view.following;
    setText(this.empty, !view.isEmpty ? '' : isActive(this._job) ? trans.__('No output yet.') : trans.__('It wrote nothing.'));
    this.finder.refresh();
    this.reveal();
  }
}

function save(url: string, name: string): void {
  const link = element('a', '');
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
