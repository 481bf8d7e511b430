/** All that can be done, as commands: for the palette, menus, buttons and other extensions. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { addIcon, copyIcon, launchIcon, refreshIcon, stopIcon, runIcon, textEditorIcon, closeIcon } from '@jupyterlab/ui-components';
import { adder, argsOf, keyAt } from './acting';
import type { Args } from './acting';
import { addCluster, confirmRemoval } from './clusters/adding';
import { everybodyIcon, panelIcon } from './icons';
import { readKey } from './jobs/keys';
import { find, isActive } from './model';
import { activeNotebook, insertMagic } from './notebook';
import { oneLine } from './page';
import type { Store } from './store';
import type { JobView } from './types';
import type { Words } from './words';

export const IDS = {
  show: 'mlmagics-lab:show',
  refresh: 'mlmagics-lab:refresh',
  everybody: 'mlmagics-lab:everybody',
  openLog: 'mlmagics-lab:open-log',
  cancel: 'mlmagics-lab:cancel-job',
  resubmit: 'mlmagics-lab:resubmit-job',
  copyUrl: 'mlmagics-lab:copy-history-url',
  copyLogs: 'mlmagics-lab:copy-logs-command',
  openHistory: 'mlmagics-lab:open-history',
  addCluster: 'mlmagics-lab:add-cluster',
  removeCluster: 'mlmagics-lab:remove-cluster',
  insert: 'mlmagics-lab:insert-magic'
} as const;

export interface Parts {
  readonly app: JupyterFrontEnd;
  readonly store: Store;
  readonly trans: Words;
  /** Bring the panel into view. */
  readonly show: () => void;
  /** Open the log of a job in the main area. */
  readonly openLog: (job: JobView) => void;
}

const JOB_ARGS = argsOf({
  cluster: { type: 'string', description: 'Name of the cluster' },
  job_id: { type: 'number', description: 'Number of the job' }
});
const CLUSTER_ARGS = argsOf({ cluster: { type: 'string', description: 'Name of the cluster' } });
const NO_ARGS = argsOf();

/** Register all commands; gives their ids. */
export function addCommands(parts: Parts): readonly string[] {
  general(parts);
  onJobs(parts);
  onClusters(parts);
  return Object.values(IDS);
}

function general({ app, store, trans, show }: Parts): void {
  app.commands.addCommand(IDS.show, {
    label: trans.__('Show clusters, jobs and git'),
    caption: trans.__('Show the panel of clusters, jobs and git'),
    icon: panelIcon,
    describedBy: NO_ARGS,
    execute: show
  });
  app.commands.addCommand(IDS.refresh, {
    label: trans.__('Refresh clusters and jobs'),
    caption: trans.__('Ask all clusters how they and their jobs do'),
    icon: refreshIcon,
    describedBy: NO_ARGS,
    execute: () => store.refresh()
  });
  app.commands.addCommand(IDS.everybody, {
    label: trans.__('Show everybody’s jobs'),
    caption: () =>
      store.state.everybody ? trans.__('Show only your own jobs') : trans.__('Show the jobs of all people'),
    icon: everybodyIcon,
    isToggled: () => store.state.everybody,
    isToggleable: true,
    describedBy: NO_ARGS,
    execute: () => {
      store.showEverybody(!store.state.everybody);
      app.commands.notifyCommandChanged(IDS.everybody);
    }
  });
}

function onJobs(parts: Parts): void {
  const { app, store, trans } = parts;
  const add = adder<Named, JobView>(app, trans, {
    describedBy: JOB_ARGS,
    named: args => jobNamed(app, args),
    known: ({ cluster, job_id }) => find(store.state, cluster, job_id),
    get: ({ cluster, job_id }) => find(store.state, cluster, job_id) ?? store.api.job(cluster, job_id)
  });
  add(IDS.openLog, {
    label: trans.__('Open the log'),
    caption: trans.__('Open the whole log of the job in a tab'),
    icon: textEditorIcon,
    act: parts.openLog
  });
  add(IDS.cancel, {
    label: trans.__('Cancel the job…'),
    caption: trans.__('Ask the job to end'),
    icon: stopIcon,
    enabled: job => isActive(job) && !job.stopping,
    act: job => cancel(parts, job)
  });
  add(IDS.resubmit, {
    label: trans.__('Run the job again'),
    caption: trans.__('Submit the cell of the job once more, with the same options'),
    icon: runIcon,
    act: async job => {
      const made = await store.api.resubmit(job.cluster, job.job_id);
      store.learn({ job: made });
      Notification.success(trans.__('Job %1 is submitted; it runs the cell of %2.', made.ref, job.ref), {
        autoClose: 5000
      });
    }
  });
  add(IDS.copyUrl, {
    label: trans.__('Copy the history URL'),
    caption: trans.__('Copy the address that means this job to everybody'),
    icon: copyIcon,
    act: job => Clipboard.copyToSystem(job.shared_url ?? job.history_url)
  });
  add(IDS.copyLogs, {
    label: trans.__('Copy the command that shows the log'),
    caption: trans.__('Copy %logs with this job, to be pasted into a cell'),
    icon: copyIcon,
    act: job => Clipboard.copyToSystem(`%logs ${job.ref}`)
  });
  add(IDS.openHistory, {
    label: trans.__('Open the page of the job'),
    caption: trans.__('Open the page of the job in a tab of the browser'),
    icon: launchIcon,
    act: job => {
      window.open(job.history_url, '_blank', 'noopener');
    }
  });
}

function onClusters(parts: Parts): void {
  const { app, store, trans } = parts;
  app.commands.addCommand(IDS.addCluster, {
    label: trans.__('Add a cluster…'),
    caption: trans.__('Add a cluster by an invite or its address'),
    icon: addIcon,
    describedBy: NO_ARGS,
    execute: async () => {
      const row = await addCluster(store.api, trans);
      if (row) {
        await store.lookAtClusters();
        Notification.success(trans.__('%1 is added. A cell that begins with %%%%%1 runs there.', row.name), {
          autoClose: 5000
        });
      }
    }
  });
  const add = adder<string, string>(app, trans, {
    describedBy: CLUSTER_ARGS,
    named: args => clusterNamed(app, args),
    known: name => name,
    get: name => name
  });
  add(IDS.insert, {
    label: trans.__('Use it in the active notebook'),
    caption: trans.__('Begin a cell of the active notebook with the magic of this cluster'),
    icon: addIcon,
    act: name => insert(parts, name)
  });
  add(IDS.removeCluster, {
    label: trans.__('Remove the cluster…'),
    caption: trans.__('Forget this cluster; its jobs go on'),
    icon: closeIcon,
    enabled: name => name !== 'local',
    act: async name => {
      if (await confirmRemoval(name, trans)) {
        await store.api.removeCluster(name);
        await store.refresh();
      }
    }
  });
}

async function cancel({ store, trans }: Parts, job: JobView): Promise<void> {
  const name = oneLine(job.name);
  const { button } = await showDialog({
    title: trans.__('Cancel %1?', name ? `${job.ref} ${name}` : job.ref),
    body: trans.__('The job is asked to end, and is ended if it does not. What it wrote so far is kept.'),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Let it go on') }),
      Dialog.warnButton({ label: trans.__('Cancel the job') })
    ]
  });
  if (button.accept) {
    store.learn({ job: await store.api.cancel(job.cluster, job.job_id) });
  }
}

async function insert({ app, trans }: Parts, name: string): Promise<void> {
  const notebook = activeNotebook(app);
  if (!notebook) {
    Notification.info(trans.__('Open a notebook first: %%%%%1 is put into the notebook that is active.', name), {
      autoClose: 5000
    });
    return;
  }
  const loaded = await insertMagic(app, notebook, name);
  if (loaded === 'no-kernel') {
    Notification.warning(trans.__('The notebook has no kernel. Start one, then run %load_ext mlmagics in a cell.'));
  } else if (loaded === 'failed') {
    Notification.warning(
      trans.__('The kernel of this notebook cannot load mlmagics. Install it where the kernel runs: %pip install mlmagics')
    );
  }
}

interface Named {
  readonly cluster: string;
  readonly job_id: number;
}

function jobNamed(app: JupyterFrontEnd, args: Args): Named | null {
  if (typeof args.cluster === 'string' && typeof args.job_id === 'number') {
    return { cluster: args.cluster, job_id: args.job_id };
  }
  const key = keyAt(app, 'mlmagics-job');
  return key ? readKey(key) : null;
}

function clusterNamed(app: JupyterFrontEnd, args: Args): string | null {
  return typeof args.cluster === 'string' ? args.cluster : keyAt(app, 'mlmagics-cluster') || null;
}
