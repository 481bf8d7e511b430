/** The top of the section: the repository, its branch, Pull and Push. */

import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { oneLine } from '../page';
import { branchIcon, pullIcon, pushIcon } from './icons';
import { isBusy } from './model';
import type { GitProps } from './section';
import type { Repo } from './types';
import { headName, pullWords, pushWords, tracking } from './words';

export function Head(props: GitProps & { readonly repo: Repo }): JSX.Element {
  const { repo, trans, state } = props;
  const isOff = isBusy(state);
  const branch = headName(repo, trans);
  const canPull = !isOff && !!repo.branch && !!repo.upstream && !repo.gone && !repo.in_progress;
  const canPush = !isOff && !!repo.branch && !repo.unborn && repo.remotes.length > 0 && !repo.in_progress;
  return (
    <div className="mlmagics-git-head">
      <div className="mlmagics-first">
        <span className="mlmagics-git-repo" title={oneLine(repo.root || repo.name)}>
          {oneLine(repo.name)}
        </span>
        <button
          type="button"
          className="mlmagics-git-branch"
          title={trans.__('On %1. Switch to another branch', branch)}
          aria-label={trans.__('On %1. Switch to another branch', branch)}
          disabled={isOff || !!repo.in_progress}
          onClick={props.switchBranch}
        >
          <branchIcon.react tag="span" width="14px" height="14px" />
          <span className="mlmagics-name">{branch}</span>
        </button>
      </div>
      <div className="mlmagics-second" role="status" title={tracking(repo, trans)}>
        {tracking(repo, trans)}
      </div>
      <div className="mlmagics-git-sync">
        <SyncButton icon={pullIcon} label={trans.__('Pull')} count={repo.behind} title={pullWords(repo, trans)} isOff={!canPull} act={props.pull} />
        <SyncButton
          icon={pushIcon}
          label={trans.__('Push')}
          count={repo.upstream && !repo.gone ? repo.ahead : null}
          title={pushWords(repo, trans)}
          isOff={!canPush}
          act={props.push}
        />
      </div>
    </div>
  );
}

function SyncButton(props: {
  readonly icon: LabIcon;
  readonly label: string;
  readonly count: number | null;
  readonly title: string;
  readonly isOff: boolean;
  readonly act: () => void;
}): JSX.Element {
  return (
    <button type="button" className="jp-Button mlmagics-button" title={props.title} aria-label={`${props.label}. ${props.title}`} disabled={props.isOff} onClick={props.act}>
      <props.icon.react tag="span" width="14px" height="14px" />
      {props.label}
      {props.count ? <span className="mlmagics-git-number">{props.count}</span> : null}
    </button>
  );
}
