/** The section of git: where the branch stands, what goes on, what has changed. */

import * as React from 'react';
import { oneLine } from '../page';
import { Empty } from '../widgets';
import type { Words } from '../words';
import { Changes } from './changes';
import type { ChangesProps } from './changes';
import { CommitBox } from './commit';
import type { CommitBoxProps } from './commit';
import { Head } from './head';
import { isBusy, repoOf, taskHere } from './model';
import type { GitState } from './model';
import { Going, Told, Unfinished, Warnings } from './notices';
import type { Repo } from './types';

export interface GitProps extends Pick<ChangesProps, 'open' | 'act' | 'all'>, Omit<CommitBoxProps, 'state'> {
  readonly state: GitState;
  readonly trans: Words;
  readonly again: () => void;
  readonly switchBranch: () => void;
  readonly pull: () => void;
  readonly push: () => void;
  readonly cancel: () => void;
  readonly abort: () => void;
  readonly goOn: () => void;
  readonly trust: () => void;
  /** The outcome was read. */
  readonly dismiss: () => void;
}

export function Git(props: GitProps): JSX.Element {
  const { state, trans } = props;
  const repo = repoOf(state);
  if (state.phase === 'failed') {
    return state.problem ? (
      <Empty action={{ label: trans.__('Try again'), act: props.again }}>{state.problem}</Empty>
    ) : (
      <Empty>{trans.__('No repository to show.')}</Empty>
    );
  }
  if (!state.status) {
    return <Empty>{trans.__('Looking for a repository…')}</Empty>;
  }
  if (!repo) {
    return (
      <Empty>
        {oneLine(state.status.reason)}{' '}
        {trans.__('What is shown here follows the file browser and the notebook that is open.')}
      </Empty>
    );
  }
  return (
    <>
      <Head {...props} repo={repo} />
      <Going task={taskHere(state)} trans={trans} cancel={props.cancel} />
      <Told {...props} />
      <Warnings {...props} repo={repo} />
      {repo.in_progress ? <Unfinished {...props} repo={repo} /> : <CommitBox key={repo.root} {...props} />}
      {state.status.files.length ? (
        <Changes {...props} status={state.status} isBusy={isBusy(state)} />
      ) : (
        !repo.in_progress && <p className="mlmagics-empty">{nothing(repo, trans)}</p>
      )}
    </>
  );
}

function nothing(repo: Repo, trans: Words): string {
  return repo.unborn
    ? trans.__('Nothing is here yet. Files that you save in this folder show up here.')
    : trans.__('No changes since the last commit. Files that you save show up here.');
}
