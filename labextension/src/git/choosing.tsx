/** What a person is asked that takes more than a yes: who, where to, which branch, how. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import * as React from 'react';
import { Field, Form } from '../fields';
import { oneLine } from '../page';
import type { Words } from '../words';
import { body } from './asking';
import type { Branch, Identity, Repo, Task } from './types';
import { remoteName } from './words';

/** Who commits; null when the person gives up. */
export async function askIdentity(trans: Words): Promise<Identity | null> {
  const form = new Form<Identity>({ name: '', email: '' }, '', (given, set) => (
    <>
      <p>{trans.__('Git does not know you yet. This stands in your commits, and is kept for this repository.')}</p>
      <Field label={trans.__('Your name')} value={given.name} set={name => set({ name })} />
      <Field label={trans.__('Your e-mail address')} value={given.email} set={email => set({ email })} />
    </>
  ));
  const { button } = await showDialog({
    title: trans.__('Who commits?'),
    body: form,
    focusNodeSelector: 'input',
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), Dialog.okButton({ label: trans.__('Commit') })]
  });
  return button.accept ? form.given : null;
}

/** How two lines of work are joined; null when the person gives up. */
export async function askHowToPull(task: Task, repo: Repo, trans: Words): Promise<'rebase' | 'merge' | null> {
  const ahead = trans._n('%1 commit', '%1 commits', task.ahead ?? 0);
  const behind = trans._n('%1 commit', '%1 commits', task.behind ?? 0);
  const { button } = await showDialog({
    title: trans.__('Rebase or merge?'),
    body: body(
      [
        trans.__('Your branch has %1 that %2 lacks, and lacks %3.', ahead, oneLine(repo.upstream), behind),
        trans.__('Rebase puts your commits on top of the others’: a straight history. Merge joins both with one more commit: nothing is written anew.'),
        trans.__('Should they conflict, everything goes back to how it is now.')
      ],
      [],
      trans
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.createButton({ label: trans.__('Merge'), actions: ['merge'] }),
      Dialog.okButton({ label: trans.__('Rebase'), actions: ['rebase'] })
    ]
  });
  return button.accept ? (button.actions[0] as 'rebase' | 'merge') : null;
}

/** A remote, where there are several and none is set; null when the person gives up. */
export async function askRemote(repo: Repo, trans: Words): Promise<string | null> {
  const remotes = repo.remotes.filter(remote => !remote.trouble);
  const chosen = new Form<{ name: string }>({ name: repo.remote ?? remotes[0]?.name ?? remoteName(repo) }, '', (given, set) => (
    <label>
      {trans.__('Remote')}
      <select size={Math.min(8, Math.max(2, remotes.length))} value={given.name} onChange={event => set({ name: event.target.value })}>
        {remotes.map(({ name, url }) => (
          <option key={name} value={name}>
            {`${oneLine(name)}  ${oneLine(url)}`}
          </option>
        ))}
      </select>
    </label>
  ));
  const { button } = await showDialog({
    title: trans.__('Where is %1 pushed to?', oneLine(repo.branch)),
    body: chosen,
    focusNodeSelector: 'select',
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), Dialog.okButton({ label: trans.__('Push') })]
  });
  return button.accept ? chosen.given.name : null;
}

const MOST_BRANCHES = 200;

/** A branch to switch to; null when the person gives up. */
export async function askBranch(
  branches: readonly Branch[],
  left: number,
  changes: number,
  trans: Words
): Promise<Branch | null> {
  const among = (text: string): readonly Branch[] =>
    branches.filter(({ name }) => name.toLowerCase().includes(text.trim().toLowerCase())).slice(0, MOST_BRANCHES);
  const form = new Form<{ text: string; at: number }>({ text: '', at: 0 }, '', (given, set) => {
    const shown = among(given.text);
    return (
      <>
        <Field label={trans.__('Find')} value={given.text} set={text => set({ text, at: 0 })} />
        <label>
          {trans.__('Branch')}
          <select size={Math.min(10, Math.max(3, shown.length))} value={given.at} onChange={event => set({ at: Number(event.target.value) })}>
            {shown.map((branch, at) => (
              <option key={`${branch.remote} ${branch.name}`} value={at}>
                {branch.remote ? trans.__('%1 (on the remote)', oneLine(branch.name)) : oneLine(branch.name)}
              </option>
            ))}
          </select>
        </label>
        {!shown.length && <p>{trans.__('No branch has that in its name.')}</p>}
        {left > 0 && <p>{trans._n('%1 older branch is not listed.', '%1 older branches are not listed.', left)}</p>}
        <p>
          {changes
            ? trans._n(
                'Your %1 change that is not committed comes along. Where it would be overwritten, nothing happens and you are told.',
                'Your %1 changes that are not committed come along. Where one would be overwritten, nothing happens and you are told.',
                changes
              )
            : trans.__('Nothing is uncommitted: the folder becomes as the branch has it.')}
        </p>
      </>
    );
  });
  const { button } = await showDialog({
    title: trans.__('Switch to another branch'),
    body: form,
    focusNodeSelector: 'input',
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), Dialog.okButton({ label: trans.__('Switch') })]
  });
  return button.accept ? (among(form.given.text)[form.given.at] ?? null) : null;
}
