/** The dialogs that add a cluster and take one away. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import * as React from 'react';
import type { Api, NewCluster } from '../api';
import { reasonOf } from '../failures';
import { Field, Form } from '../fields';
import type { ClusterView } from '../types';
import { readInvite } from '../words';
import type { Words } from '../words';

/** Ask for a cluster until it is added or the person gives up; gives its row. */
export async function addCluster(api: Api, trans: Words): Promise<ClusterView | null> {
  let given: NewCluster = { name: '', url: '' };
  for (let problem = ''; ; ) {
    const body = new Form(given, problem, fields(trans));
    const { button } = await showDialog({
      title: trans.__('Add a cluster'),
      body,
      focusNodeSelector: problem ? '[role=alert]' : 'input',
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({ label: trans.__('Add'), ariaLabel: trans.__('Add this cluster') })
      ]
    });
    if (!button.accept) {
      return null;
    }
    given = body.given;
    try {
      return await api.addCluster(asked(given));
    } catch (error) {
      problem = reasonOf(error);
    }
  }
}

/** A whole line goes to the server as it is; of `NAME URL` only the address. */
function asked(given: NewCluster): NewCluster {
  const { url } = readInvite(given.url);
  return /attachments\s+add\s/.test(given.url) || !url ? given : { ...given, url };
}

/** Whether the person wants to forget the cluster. */
export async function confirmRemoval(name: string, trans: Words): Promise<boolean> {
  const { button } = await showDialog({
    title: trans.__('Remove %1?', name),
    body: trans.__(
      'Its jobs go on, but %%%%%1 is no magic any more, and cards of its jobs stay as they are. To come back you need a new invite or your token.',
      name
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Keep it') }),
      Dialog.warnButton({ label: trans.__('Remove') })
    ]
  });
  return button.accept;
}

/** The fields of the form. */
const fields =
  (trans: Words) =>
  (given: NewCluster, set: (more: Partial<NewCluster>) => void): JSX.Element => {
    const setUrl = (url: string): void => set({ url, name: given.name || readInvite(url).name });
    return (
      <>
        <Field label={trans.__('Invite or address')} value={given.url} set={setUrl}>
          {trans.__(
            'The line that you were sent, or the address of the cluster’s agent: https://gpu-box:8900, ssh://ada@gpu-box'
          )}
        </Field>
        <Field label={trans.__('Name')} value={given.name} set={name => set({ name })}>
          {trans.__('What comes behind %%%% in a cell, such as gpu-box')}
        </Field>
        <Field label={trans.__('Token')} value={given.token ?? ''} set={token => set({ token })} type="password">
          {trans.__('Neither for an invite nor for ssh. It is kept by the Jupyter server.')}
        </Field>
        <Field label={trans.__('Certificate file')} value={given.ca ?? ''} set={ca => set({ ca })}>
          {trans.__('Only if you were told to: a PEM file on the machine of the Jupyter server')}
        </Field>
      </>
    );
  };
