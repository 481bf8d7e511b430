/** The panel on the left: sections of jobs, of clusters and of git. */

import type { CommandRegistry } from '@lumino/commands';
import type { ITranslator } from '@jupyterlab/translation';
import {
  CommandToolbarButton,
  PanelWithToolbar,
  ReactWidget,
  SidePanel,
  UseSignal
} from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import type { AccordionPanel } from '@lumino/widgets';
import * as React from 'react';
import { Clusters } from './clusters/section';
import { IDS } from './commands';
import type { GitPart } from './git/wiring';
import { panelIcon } from './icons';
import { readKey } from './jobs/keys';
import { Progresses } from './jobs/progress';
import { Jobs } from './jobs/section';
import { hasActive } from './model';
import { Notice } from './notice';
import type { Known } from './settings';
import type { Store } from './store';
import { Section } from './widgets';
import type { Words } from './words';

export const PANEL_ID = 'mlmagics-lab-panel';
/** What is told in minutes is drawn anew so often. */
const TICK_MS = 10_000;

export interface PanelOptions {
  readonly store: Store;
  readonly commands: CommandRegistry;
  readonly translator: ITranslator;
  readonly trans: Words;
  readonly version: string;
  readonly settings: Known;
  readonly git: GitPart;
}

export class Panel extends SidePanel {
  private readonly redraw = new Signal<this, void>(this);
  private readonly progresses: Progresses;
  private timer = 0;

  constructor(private readonly options: PanelOptions) {
    super({ translator: options.translator });
    const { store, trans } = options;
    this.id = PANEL_ID;
    this.addClass('mlmagics-panel');
    this.title.icon = panelIcon;
    this.title.caption = trans.__('Clusters, jobs and git');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Clusters, jobs and git'));
    this.progresses = new Progresses(store.api, () => store.state);
    this.header.addWidget(this.notice());
    this.addWidget(this.jobs());
    this.addWidget(this.clusters());
    const git = this.section(trans.__('Git'), options.git.section, options.git.buttons);
    this.showGit(git);
    options.settings.changed.connect(() => this.showGit(git));
    store.changed.connect(() => this.redraw.emit());
    this.progresses.changed.connect(() => this.redraw.emit());
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.watch(true);
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.watch(false);
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.watch(this.isVisible);
  }

  private watch(yes: boolean): void {
    const { store } = this.options;
    window.clearInterval(this.timer);
    store.watch(yes);
    this.progresses.watch(yes);
    if (yes) {
      void store.look();
      void store.lookAtClusters();
      this.redraw.emit();
      this.timer = window.setInterval(() => hasActive(store.state) && this.redraw.emit(), TICK_MS);
    }
  }

  private showGit(git: PanelWithToolbar): void {
    const isWanted = this.options.settings.now.showGit;
    if (isWanted && !git.parent) {
      this.addWidget(git);
      // files of a repository need more room than a few clusters
      (this.content as AccordionPanel).setRelativeSizes([4, 4, 9]);
    } else if (!isWanted) {
      git.parent = null;
    }
  }

  private notice(): ReactWidget {
    const { store, trans, version } = this.options;
    return ReactWidget.create(
      <UseSignal signal={store.changed}>
        {() => <Notice state={store.state} trans={trans} version={version} again={() => void store.refresh()} />}
      </UseSignal>
    );
  }

  private jobs(): PanelWithToolbar {
    const { store, commands, trans } = this.options;
    const list = new Section(this.redraw, () => (
      <Jobs
        state={store.state}
        trans={trans}
        now={Date.now() / 1000}
        progress={this.progresses.percents}
        open={key => void commands.execute(IDS.openLog, { ...readKey(key) })}
      />
    ));
    return this.section(trans.__('Jobs'), list, [IDS.everybody, IDS.refresh]);
  }

  private clusters(): PanelWithToolbar {
    const { store, commands, trans } = this.options;
    const list = new Section(this.redraw, () => (
      <Clusters
        state={store.state}
        trans={trans}
        add={() => void commands.execute(IDS.addCluster)}
        insert={cluster => void commands.execute(IDS.insert, { cluster })}
      />
    ));
    return this.section(trans.__('Clusters'), list, [IDS.addCluster, IDS.refresh]);
  }

  private section(name: string, list: ReactWidget, buttons: readonly string[]): PanelWithToolbar {
    const { commands } = this.options;
    const panel = new PanelWithToolbar();
    panel.addClass('mlmagics-part');
    panel.title.label = name;
    panel.node.setAttribute('role', 'region');
    panel.node.setAttribute('aria-label', name);
    for (const id of buttons) {
      panel.toolbar.addItem(id, new CommandToolbarButton({ commands, id, label: '' }));
    }
    panel.addWidget(list);
    return panel;
  }
}
