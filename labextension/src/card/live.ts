/** A card that is drawn from the log of its job. */

import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { CommandRegistry } from '@lumino/commands';
import { Widget } from '@lumino/widgets';
import { IDS } from '../commands';
import { element, setText } from '../dom';
import { Charts } from '../log/charts';
import { shower } from '../log/display';
import { Head } from '../log/head';
import { Reading } from '../log/reading';
import { isActive, isMine, isSame } from '../model';
import { LogView } from '../page';
import { reasonOf } from '../failures';
import type { Store } from '../store';
import type { JobView } from '../types';
import type { Words } from '../words';

export interface LiveOptions {
  readonly store: Store;
  readonly commands: CommandRegistry;
  readonly rendermime: IRenderMimeRegistry;
  readonly trans: Words;
}

const TICK_MS = 1000;
/** What a card shows beyond this is in the log's own tab; it scrolls there. */
const AHEAD = '400px 0px';

export class LiveCard extends Widget {
  /** Called once there is something to see. */
  whenDrawn: () => void = () => undefined;
  private readonly head: Head;
  private readonly charts: Charts;
  private readonly reading: Reading;
  private readonly cancel: HTMLButtonElement;
  private readonly trouble = element('div', 'mlmagics-trouble');
  private readonly seen: IntersectionObserver;
  private timer = 0;

  constructor(
    private job: JobView,
    private readonly options: LiveOptions
  ) {
    super();
    this.addClass('mlmagics-card');
    this.addClass('mlmagics-live');
    const { store, rendermime, trans } = options;
    const agent = store.api.agent(job.cluster);
    const list = element('div', 'mlmagics-lines');
    const box = element('div', 'mlmagics-box', list);
    box.tabIndex = 0;
    const metrics = element('div', 'mlmagics-charts');
    const blob = async (sha256: string): Promise<Blob> =>
      (await agent.request(`jobs/${job.job_id}/blobs/${sha256}`)).blob();
    this.head = new Head(job, trans);
    this.charts = new Charts(job, trans, metrics, null);
    const view = new LogView(box, list, blob, () => this.whenDrawn(), shower(rendermime, isMine(job), trans));
    this.reading = new Reading(agent, job, view, trans, {
      figures: figures => {
        this.head.showProgress(figures.progress);
        this.charts.show(figures);
      },
      moved: () => void this.ask(),
      message: () => undefined,
      connected: yes => this.tell(yes ? '' : trans.__('No contact with %1; trying again. A job goes on without it.', job.cluster)),
      ended: () => void this.ask(),
      failed: error => this.tell(reasonOf(error))
    });
    this.cancel = this.button(trans.__('Cancel the job'), IDS.cancel);
    const buttons = element('div', 'mlmagics-buttons', this.button(trans.__('Open the log'), IDS.openLog), this.cancel);
    this.node.append(this.head.node, this.trouble, metrics, box, buttons);
    this.node.setAttribute('role', 'group');
    this.trouble.hidden = true;
    box.setAttribute('role', 'region');
    box.setAttribute('aria-label', trans.__('Output of %1', job.ref));
    this.seen = new IntersectionObserver(entries => this.look(entries.some(one => one.isIntersecting)), { rootMargin: AHEAD });
    store.changed.connect(this.take, this);
    this.showJob(job);
  }

  override dispose(): void {
    this.look(false);
    this.seen.disconnect();
    this.charts.dispose();
    this.options.store.changed.disconnect(this.take, this);
    super.dispose();
  }

  protected override onAfterAttach(): void {
    // hidden until it is drawn, and what is hidden is never seen: so its parent is watched
    this.seen.observe(this.node.parentElement ?? this.node);
  }

  protected override onBeforeDetach(): void {
    this.seen.disconnect();
    this.look(false);
  }

  private look(yes: boolean): void {
    window.clearInterval(this.timer);
    if (yes) {
      this.reading.start();
      this.timer = window.setInterval(() => isActive(this.job) && this.showJob(this.job), TICK_MS);
    } else {
      this.reading.stop();
    }
  }

  private button(label: string, command: string): HTMLButtonElement {
    const button = element('button', 'jp-Button mlmagics-button', label);
    button.type = 'button';
    const { cluster, job_id } = this.job;
    button.addEventListener('click', () => void this.options.commands.execute(command, { cluster, job_id }));
    return button;
  }

  private take(): void {
    const known = this.options.store.state.jobs?.find(job => isSame(job, this.job));
    if (known && known !== this.job) {
      this.showJob(known);
    }
  }

  private showJob(job: JobView): void {
    this.job = job;
    this.head.show(job);
    this.node.setAttribute('aria-label', `${job.ref}: ${job.word}`);
    this.toggleClass('mlmagics-ended', !isActive(job));
    this.cancel.hidden = !isActive(job) || !isMine(job);
    this.cancel.disabled = job.stopping === true;
  }

  private tell(text: string): void {
    setText(this.trouble, text);
    this.trouble.hidden = !text;
  }

  private async ask(): Promise<void> {
    try {
      const job = await this.options.store.api.job(this.job.cluster, this.job.job_id);
      if (!this.isDisposed) {
        this.showJob(job);
        this.options.store.learn({ job });
        this.whenDrawn();
      }
    } catch {
      // what reads the log tells whether there is contact
    }
  }
}
