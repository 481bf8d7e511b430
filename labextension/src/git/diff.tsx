/** What differs in a file, in a tab of the main area: lines of text, cells of a notebook. */

import { MainAreaWidget } from '@jupyterlab/apputils';
import { ReactWidget, ToolbarButton, refreshIcon, textEditorIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';
import { reasonOf } from '../failures';
import { oneLine } from '../page';
import { Empty } from '../widgets';
import type { Words } from '../words';
import { DiffView } from './diffview';
import { branchIcon } from './icons';
import { keyOf, nameAndFolder, repoOf } from './model';
import type { GitStore } from './store';
import type { Diff, FileChange } from './types';
import { changeWord, fileWords } from './words';

export interface DiffOptions {
  readonly store: GitStore;
  readonly trans: Words;
  /** Open the file itself. */
  readonly open: (root: string, path: string) => void;
}

/** A tab with what differs in `file` of the repository `root`. */
export function diffTab(root: string, file: FileChange, options: DiffOptions): MainAreaWidget<DiffTab> {
  const { trans } = options;
  const content = new DiffTab(root, file, options);
  const tab = new MainAreaWidget({ content });
  // in place of the name that JupyterLab gives to every content
  content.node.setAttribute('aria-label', trans.__('What differs in %1', oneLine(file.path)));
  tab.id = `mlmagics-git-diff-${root}-${keyOf(file)}`;
  tab.title.label = trans.__('%1 (%2)', oneLine(nameAndFolder(file.path).name), changeWord(file, trans));
  tab.title.caption = fileWords(file, trans);
  tab.title.icon = branchIcon;
  tab.title.closable = true;
  tab.toolbar.addItem('refresh', new ToolbarButton({ icon: refreshIcon, tooltip: trans.__('Compare again'), onClick: () => content.load() }));
  if (!file.folder) {
    tab.toolbar.addItem('open', new ToolbarButton({ icon: textEditorIcon, tooltip: trans.__('Open the file'), onClick: () => options.open(root, file.path) }));
  }
  return tab;
}

export class DiffTab extends ReactWidget {
  private diff: Diff | null = null;
  private problem = '';
  private control: AbortController | null = null;
  private isStale = true;

  constructor(
    readonly root: string,
    readonly file: FileChange,
    private readonly options: DiffOptions
  ) {
    super();
    this.addClass('mlmagics-git-diff');
    this.node.tabIndex = 0;
    options.store.looked.connect(this.loadAgain, this);
  }

  override dispose(): void {
    this.options.store.looked.disconnect(this.loadAgain, this);
    this.control?.abort();
    super.dispose();
  }

  /** Compare now. */
  load(): void {
    this.isStale = false;
    this.control?.abort();
    const control = (this.control = new AbortController());
    void this.options.store.api
      .diff(this.root, this.file, control.signal)
      .then(diff => this.take(diff, ''))
      .catch((error: unknown) => control.signal.aborted || this.take(null, reasonOf(error)));
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    if (this.isStale) {
      this.load();
    }
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    if (this.isVisible && this.isStale) {
      this.load();
    }
  }

  protected override onActivateRequest(): void {
    this.node.focus();
  }

  protected override render(): JSX.Element {
    const { trans } = this.options;
    if (this.problem) {
      return <Empty action={{ label: trans.__('Try again'), act: () => this.load() }}>{this.problem}</Empty>;
    }
    return this.diff ? <DiffView diff={this.diff} file={this.file} trans={trans} /> : <Empty>{trans.__('Comparing…')}</Empty>;
  }

  private take(diff: Diff | null, problem: string): void {
    this.diff = diff;
    this.problem = problem;
    this.update();
  }

  /** The repository was looked at: the file may differ in another way now. */
  private loadAgain(): void {
    const { state } = this.options.store;
    if (repoOf(state)?.root === this.root) {
      this.isStale = true;
      if (this.isVisible) {
        this.load();
      }
    }
  }
}
