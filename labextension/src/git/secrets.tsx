/** The questions about secrets: those of a remote, and those in what would be pushed. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';
import { Field, Form } from '../fields';
import { oneLine } from '../page';
import type { Words } from '../words';
import type { Finding, Keep, Task } from './types';

export interface Secret {
  readonly username: string;
  readonly token: string;
  readonly keep: Keep;
}

/** What opens the remote: a user name and a token, or the passphrase of a key; null when the person gives up. */
export async function askCredentials(asked: NonNullable<Task['credentials']>, trans: Words): Promise<Secret | null> {
  const host = oneLine(asked.host);
  const isKey = asked.kind === 'passphrase';
  const form = new Form<Secret>({ username: asked.username, token: '', keep: 'memory' }, problem(asked, trans), (given, set) => (
    <>
      {isKey ? (
        <Field label={trans.__('Passphrase')} value={given.token} set={token => set({ token })} type="password">
          {trans.__('Of the SSH key %1. An SSH agent that has the key saves the question.', host)}
        </Field>
      ) : (
        <>
          <Field label={trans.__('User name')} value={given.username} set={username => set({ username })} />
          <Field label={trans.__('Token')} value={given.token} set={token => set({ token })} type="password">
            {trans.__('An access token of that site with the right to this repository; most sites take no password here.')}
          </Field>
        </>
      )}
      <KeepFields keeps={asked.keeps} given={given} set={set} trans={trans} />
      {!isKey && (
        <p>
          <small>
            {trans.__('You are not asked where git has a credential helper for this host, or where the remote has an SSH address.')}
          </small>
        </p>
      )}
    </>
  ));
  const { button } = await showDialog({
    title: isKey ? trans.__('Unlock the SSH key') : trans.__('Log in to %1', host),
    body: form,
    focusNodeSelector: isKey || asked.username ? 'input[type=password]' : 'input',
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: isKey ? trans.__('Unlock') : trans.__('Log in') })
    ]
  });
  return button.accept ? form.given : null;
}

function problem(asked: NonNullable<Task['credentials']>, trans: Words): string {
  if (!asked.refused) {
    return '';
  }
  return asked.kind === 'passphrase'
    ? trans.__('That was not the passphrase.')
    : trans.__('%1 refused what was tried. Is the token still valid, and for this repository?', oneLine(asked.host));
}

function KeepFields(props: {
  readonly keeps: readonly Keep[];
  readonly given: Secret;
  readonly set: (more: Partial<Secret>) => void;
  readonly trans: Words;
}): JSX.Element {
  const { keeps, given, set, trans } = props;
  if (!keeps.includes('keyring')) {
    return <small>{trans.__('It is kept in memory until the Jupyter server ends.')}</small>;
  }
  return (
    <fieldset className="mlmagics-git-keep">
      <legend>{trans.__('Keep it')}</legend>
      {keeps.map(keep => (
        <label key={keep}>
          <input type="radio" name="mlmagics-git-keep" checked={given.keep === keep} onChange={() => set({ keep })} />
          {keep === 'keyring' ? trans.__('in the keyring of the Jupyter server’s machine') : trans.__('until the Jupyter server ends')}
        </label>
      ))}
    </fieldset>
  );
}

/** Whether what looks like secrets may be pushed. */
export async function confirmFindings(task: Task, trans: Words): Promise<boolean> {
  const findings = task.findings ?? [];
  const { button } = await showDialog({
    title: trans._n('Push what may be a secret?', 'Push what may be %1 secrets?', findings.length),
    body: findingList(findings, task.unscanned ?? '', trans),
    defaultButton: 0,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Do not push') }),
      Dialog.warnButton({ label: trans.__('Push anyway') })
    ]
  });
  return button.accept;
}

function findingList(findings: readonly Finding[], unscanned: string, trans: Words): ReactWidget {
  const made = ReactWidget.create(
    <>
      <p>
        {trans.__('Whoever can read the remote can read this then, also after a later commit that takes it out. A secret that was pushed has to be made anew.')}
      </p>
      <ul className="mlmagics-git-findings" aria-label={trans.__('Found')}>
        {findings.map(finding => (
          <li key={finding.fingerprint}>
            <span className="mlmagics-git-place">
              {oneLine(finding.path)}:{finding.line}
            </span>{' '}
            {oneLine(finding.rule)}
            <code>{oneLine(finding.preview)}</code>
          </li>
        ))}
      </ul>
      {unscanned && <p>{oneLine(unscanned)}</p>}
      <p>
        {trans.__('If it is none: push anyway, or end the line with the comment pragma: allowlist secret. If it is one: take it out, and commit --amend in a terminal.')}
      </p>
    </>
  );
  made.addClass('mlmagics-git-asking');
  return made;
}
