/** Puts the parts of git together. */

import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import type { FileBrowser } from '@jupyterlab/filebrowser';
import type { Message } from '@lumino/messaging';
import type { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { Known } from '../settings';
import type { Item } from '../status';
import type { Store } from '../store';
import { Section } from '../widgets';
import type { Words } from '../words';
import { DEED_IDS, GIT_IDS, addGitCommands } from './commands';
import { Deeds } from './deeds';
import { diffTab } from './diff';
import type { DiffTab } from './diff';
import { Documents } from './documents';
import { keyOf, repoOf } from './model';
import type { GitState } from './model';
import { followPlace } from './place';
import { Git } from './section';
import { GitStore } from './store';
import { Transfers } from './transfers';
import type { FileChange, Repo } from './types';
import { branchSentence, branchWords } from './words';
import { Work } from './work';

export interface GitOptions {
  readonly app: JupyterFrontEnd;
  readonly store: Store;
  readonly settings: Known;
  readonly trans: Words;
  readonly browser: FileBrowser | null;
  readonly restorer: ILayoutRestorer | null;
  /** Bring the panel into view. */
  readonly show: () => void;
}

export interface GitPart {
  readonly section: ReactWidget;
  /** Ids of the commands beside its name. */
  readonly buttons: readonly string[];
  /** Ids of all its commands. */
  readonly commands: readonly string[];
  /** The branch, in the status bar. */
  readonly item: Item;
  readonly isInStatusBar: () => boolean;
  /** The item is in the status bar: keep it true. */
  readonly glimpse: () => void;
}

/** Make the section of git, and its commands. */
export function addGit(options: GitOptions): GitPart {
  const { app, settings, trans } = options;
  const store = new GitStore(options.store, settings.now);
  const documents = new Documents(app);
  const work = new Work(store, documents, settings, trans);
  const deeds = new Deeds(work);
  const transfers = new Transfers(work);
  const tracker = new WidgetTracker<MainAreaWidget<DiffTab>>({ namespace: 'mlmagics-lab-diffs' });
  const openDiff = (root: string, file: FileChange): void => {
    let tab = tracker.find(({ content }) => content.root === root && keyOf(content.file) === keyOf(file));
    if (!tab) {
      tab = diffTab(root, file, { store, trans, open: (...where) => documents.open(...where) });
      void tracker.add(tab);
      app.shell.add(tab, 'main', { type: 'Comparison' });
    }
    app.shell.activateById(tab.id);
  };
  const commands = addGitCommands({ app, store, deeds, transfers, documents, trans, show: options.show, openDiff });
  store.changed.connect(() => commands.forEach(id => app.commands.notifyCommandChanged(id)));
  followPlace(app, options.browser, store);
  void options.restorer?.restore(tracker, {
    command: GIT_IDS.diff,
    args: ({ content: { root, file } }) => ({ root, ...file }),
    name: ({ id }) => id
  });
  const isInStatusBar = (): boolean => settings.now.showGit && settings.now.showBranch;
  const glimpse = (): void => {
    const look = (): void => store.glimpse(isInStatusBar());
    settings.changed.connect(look);
    void app.restored.then(look);
  };
  const section = new GitSection({ app, store, deeds, transfers, settings, trans, openDiff });
  const item = branchItem(store, trans, options.show);
  return { commands, buttons: [GIT_IDS.fetch, GIT_IDS.refresh], section, item, isInStatusBar, glimpse };
}

function branchItem(store: GitStore, trans: Words, open: () => void): Item {
  const repo = (): Repo | null => repoOf(store.state);
  const told = (words: (repo: Repo, trans: Words) => string): string => {
    const here = repo();
    return here ? words(here, trans) : '';
  };
  return { changed: store.changed, text: () => told(branchWords), sentence: () => told(branchSentence), open };
}

interface SectionOptions {
  readonly app: JupyterFrontEnd;
  readonly store: GitStore;
  readonly deeds: Deeds;
  readonly transfers: Transfers;
  readonly settings: Known;
  readonly trans: Words;
  readonly openDiff: (root: string, file: FileChange) => void;
}

/** The section in the panel: it lets the store look while it can be seen. */
class GitSection extends Section<GitState> {
  constructor(private readonly options: SectionOptions) {
    super(options.store.changed, () => this.drawn());
    this.addClass('mlmagics-git');
    options.settings.changed.connect(() => this.update());
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.options.store.watch(true);
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.options.store.watch(false);
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.options.store.watch(this.isVisible);
  }

  protected override onBeforeDetach(message: Message): void {
    this.options.store.watch(false);
    super.onBeforeDetach(message);
  }

  private drawn(): JSX.Element {
    const { app, store, deeds, transfers, settings, trans } = this.options;
    const { state } = store;
    const root = repoOf(state)?.root ?? '';
    return (
      <Git
        state={state}
        trans={trans}
        draft={store.drafts.get(root) ?? ''}
        write={message => store.drafts.set(root, message)}
        commit={message => deeds.commit(message)}
        strips={settings.now.gitStripOutputs}
        setStrips={strips => void settings.set('gitStripOutputs', strips)}
        again={() => void store.refresh()}
        switchBranch={() => void deeds.switchBranch()}
        pull={() => void transfers.pull()}
        push={() => void transfers.push()}
        cancel={() => void transfers.cancel()}
        abort={() => void deeds.abort()}
        goOn={() => void deeds.goOn()}
        trust={() => void deeds.trust()}
        dismiss={() => store.tell(null)}
        open={file => this.options.openDiff(root, file)}
        act={(deed, { path, kind }) => void app.commands.execute(DEED_IDS[deed], { path, kind })}
        all={kind => void (kind === 'staged' ? deeds.unstage({ all: kind }) : deeds.stageAll(kind))}
      />
    );
  }
}
