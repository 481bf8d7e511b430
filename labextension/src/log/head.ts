/** State, facts and progress of a job, above its log. */

import { element, setText } from '../dom';
import { isActive } from '../model';
import { Figures, clock, duration, oneLine, progressBar } from '../page';
import type { JobView } from '../types';
import { facts, resources, title } from '../words';
import type { Words } from '../words';

const WARN_S = 900;

export class Head {
  readonly node = element('div', 'mlmagics-head');
  private readonly state = element('span', 'mlmagics-state');
  private readonly name = element('span', 'mlmagics-name');
  private readonly facts = element('div', 'mlmagics-second');
  private readonly warning = element('div', 'mlmagics-trouble');
  private readonly progress = element('div', 'mlmagics-progress');
  private lastProgress: Figures['progress'] = null;

  constructor(
    private job: JobView,
    private readonly trans: Words
  ) {
    const first = element('div', 'mlmagics-first', this.state, this.name);
    this.state.setAttribute('role', 'status');
    this.node.append(first, this.facts, this.progress, this.warning);
    this.show(job);
  }

  /** Show the job as it is now; `trouble` says why nothing newer is known. */
  show(job: JobView, trouble = ''): void {
    this.job = job;
    const now = Date.now() / 1000;
    this.node.dataset.state = job.stopping && isActive(job) ? 'stopping' : job.state;
    setText(this.state, job.word);
    setText(this.name, title(job));
    const told = facts({ ...job, name: '', gpus: 0 }, now, this.trans);
    const lead = [oneLine(job.name) ? job.ref : '', oneLine(job.user), resources(job, this.trans)];
    setText(this.facts, [...lead, ...told].filter(Boolean).join(', '));
    setText(this.warning, trouble || this.limit(now));
    this.warning.hidden = !this.warning.textContent;
    this.showProgress(this.lastProgress);
  }

  /** Show how far it says it is. */
  showProgress(progress: Figures['progress']): void {
    this.lastProgress = progress;
    progressBar(this.progress, isActive(this.job) ? progress : null);
  }

  private limit(now: number): string {
    const left = this.job.state === 'running' && this.job.deadline_at ? this.job.deadline_at - now : Infinity;
    return left > 0 && left < WARN_S
      ? this.trans.__(
          'Its time limit ends it at %1, in %2. To give it more time: %extend %3 2h',
          clock(this.job.deadline_at ?? 0, now),
          duration(Math.round(left)),
          this.job.ref
        )
      : '';
  }
}
