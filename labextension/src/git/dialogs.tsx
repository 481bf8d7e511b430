/** What a person is asked before something is given up: changes, sides of a conflict, a merge. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { oneLine } from '../page';
import type { Words } from '../words';
import { body } from './asking';
import type { FileChange, Programs, Repo, Task } from './types';

/** Whether these files may be thrown away. */
export async function confirmDiscard(files: readonly FileChange[], unsaved: boolean, trans: Words): Promise<boolean> {
  const gone = files.filter(file => file.kind === 'untracked');
  const back = files.length - gone.length;
  const { button } = await showDialog({
    title: trans._n('Discard the changes of %1 file?', 'Discard the changes of %1 files?', files.length),
    body: body(
      [
        back ? trans._n('%1 file goes back to how it was staged or committed.', '%1 files go back to how they were staged or committed.', back) : '',
        gone.length ? trans._n('%1 file that is not in git is deleted.', '%1 files that are not in git are deleted.', gone.length) : '',
        unsaved ? trans.__('What is typed into an open tab of them and not saved is gone as well.') : '',
        trans.__('This cannot be undone.')
      ],
      files.map(file => file.path),
      trans
    ),
    defaultButton: 0,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Keep them') }),
      Dialog.warnButton({ label: trans.__('Discard') })
    ]
  });
  return button.accept;
}

/** What is to be done with documents that are not saved, before git looks at their files. */
export async function askToSave(names: readonly string[], trans: Words): Promise<'save' | 'leave' | 'stop'> {
  const { button } = await showDialog({
    title: trans._n('Save %1 file first?', 'Save %1 files first?', names.length),
    body: body([trans.__('Git sees what is saved. What you typed stays in its tab either way.')], names, trans),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.createButton({ label: trans.__('Go on without'), actions: ['leave'] }),
      Dialog.okButton({ label: trans.__('Save'), actions: ['save'] })
    ]
  });
  return (button.accept && (button.actions[0] as 'save' | 'leave')) || 'stop';
}

/** Whether a pull that conflicts is to be made again, to resolve it by hand. */
export async function askToResolve(task: Task, trans: Words): Promise<boolean> {
  const { button } = await showDialog({
    title: trans.__('The pull conflicts'),
    body: body(
      [trans.__('You and others changed the same places of these files. Nothing has changed here: everything is as before the pull.')],
      task.conflicts ?? [],
      trans
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Leave it') }),
      Dialog.okButton({ label: trans.__('Resolve the conflicts') })
    ]
  });
  return button.accept;
}

/** Whether programs that the repository names run from now on, or are skipped; null when the person gives up. */
export async function askTrust(repo: Repo, programs: Programs, trans: Words): Promise<boolean | null> {
  const { button } = await showDialog({
    title: trans.__('Let %1 run programs?', oneLine(repo.name)),
    body: body(
      [
        trans.__('This repository names programs that git runs as you, with all your rights. Let them run if you know who set them up, as with pre-commit install.'),
        trans.__('You are asked again when others take their place.')
      ],
      [...programs.names, ...programs.hooks.map(hook => trans.__('hook %1', hook))],
      trans
    ),
    defaultButton: 1,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.createButton({ label: trans.__('Skip them'), actions: ['skip'] }),
      Dialog.warnButton({ label: trans.__('Let them run'), actions: ['run'] })
    ]
  });
  return button.accept ? button.actions[0] === 'run' : null;
}

/** Whether what was begun is given up. */
export async function confirmAbort(what: string, trans: Words): Promise<boolean> {
  const { button } = await showDialog({
    title: trans.__('Go back to how it was?'),
    body: body([what, trans.__('What you did to resolve conflicts since then is lost; your commits are not.')], [], trans),
    defaultButton: 0,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Go on resolving') }),
      Dialog.warnButton({ label: trans.__('Go back') })
    ]
  });
  return button.accept;
}

/** Whether the person's work on these files, or that of others, may be dropped for the other side. */
export async function confirmSide(side: 'mine' | 'theirs', files: readonly string[], trans: Words): Promise<boolean> {
  const { button } = await showDialog({
    title: side === 'mine' ? trans.__('Take yours whole?') : trans.__('Take theirs whole?'),
    body: body(
      [
        side === 'mine'
          ? trans.__('What others changed in it is not taken over.')
          : trans.__('What you changed in it is dropped; your commit still has it.')
      ],
      files,
      trans
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: side === 'mine' ? trans.__('Take mine') : trans.__('Take theirs') })
    ]
  });
  return button.accept;
}
