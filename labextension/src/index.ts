/** The plugin: makes the parts and wires them together. */

import { ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, WidgetTracker } from '@jupyterlab/apputils';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { version } from '../package.json';
import { Api } from './api';
import { Signal } from '@lumino/signaling';
import { RANK, cardFactory } from './card/renderer';
import { IDS, addCommands } from './commands';
import { addGit } from './git/wiring';
import { logTab } from './log/tab';
import type { Log, LogOptions } from './log/tab';
import { isSame } from './model';
import { EndNotices } from './notify';
import { PANEL_ID, Panel } from './panel';
import { Known } from './settings';
import { jobsItem, statusItem } from './status';
import type { Item } from './status';
import { Store } from './store';
import type { JobView } from './types';
import { exactly } from './words';

const ID = 'mlmagics-lab:plugin';
const CATEGORY = 'Clusters and jobs';
const GIT_CATEGORY = 'Git in the sidebar';
/** Below the file browser, which has 100, and the running kernels. */
const LEFT_RANK = 250;

const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Clusters, jobs and git of mlmagics, and cards that live after a reload.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, ISettingRegistry, IStatusBar, IDefaultFileBrowser],
  activate
};

export default plugin;

function activate(
  app: JupyterFrontEnd,
  rendermime: IRenderMimeRegistry,
  given: ITranslator | null,
  palette: ICommandPalette | null,
  restorer: ILayoutRestorer | null,
  registry: ISettingRegistry | null,
  statusBar: IStatusBar | null,
  browser: IDefaultFileBrowser | null
): void {
  const translator = given ?? nullTranslator;
  const trans = exactly(translator.load('mlmagics_lab'));
  const { commands } = app;
  const store = new Store(new Api(), version);
  const settings = new Known(registry, ID);
  const logs: LogOptions = { store, commands, rendermime, trans };

  const show = (): void => app.shell.activateById(PANEL_ID);
  const git = addGit({ app, store, settings, trans, browser, restorer, show });
  const panel = new Panel({ store, commands, translator, trans, version, settings, git });
  const tracker = new WidgetTracker<MainAreaWidget<Log>>({ namespace: 'mlmagics-lab-logs' });
  const ids = addCommands({ app, store, trans, show, openLog: job => openLog(app, tracker, job, logs) });
  for (const command of ids) {
    palette?.addItem({ command, category: trans.__(CATEGORY) });
  }
  for (const command of git.commands) {
    palette?.addItem({ command, category: trans.__(GIT_CATEGORY) });
  }
  app.shell.add(panel, 'left', { rank: LEFT_RANK, type: 'Clusters and jobs' });
  restorer?.add(panel, panel.id);
  void restorer?.restore(tracker, {
    command: IDS.openLog,
    args: ({ content: { job } }) => ({ cluster: job.cluster, job_id: job.job_id }),
    name: ({ id }) => id
  });

  rendermime.addFactory(cardFactory(logs), RANK);
  if (statusBar) {
    const shown = (name: string, rank: number, item: Item, isWanted: () => boolean): void => {
      const moved = new Signal<Item, void>(item);
      item.changed.connect(() => moved.emit());
      settings.changed.connect(() => moved.emit());
      statusBar.registerStatusItem(`${ID}:${name}`, {
        item: statusItem(item),
        align: 'left',
        rank,
        isActive: () => isWanted() && item.text() !== '',
        activeStateChanged: moved
      });
    };
    shown('status', 40, jobsItem(store, trans, show), () => settings.now.showStatus);
    shown('git', 41, git.item, git.isInStatusBar);
    git.glimpse();
  }
  const notices = new EndNotices(commands, trans);
  store.ended.connect((_, jobs) => settings.now.notifyEnd && notices.add(jobs));
  void store.start();
}

/** Bring the log of `job` into view. */
function openLog(
  app: JupyterFrontEnd,
  tracker: WidgetTracker<MainAreaWidget<Log>>,
  job: JobView,
  options: LogOptions
): void {
  let tab = tracker.find(one => isSame(one.content.job, job));
  if (!tab) {
    tab = logTab(job, options);
    void tracker.add(tab);
    app.shell.add(tab, 'main', { type: 'Log of a job' });
  }
  app.shell.activateById(tab.id);
}
