/** What the section says between the branch and the files: what goes on, how it ended, what stands in the way. */

import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { oneLine } from '../page';
import type { Words } from '../words';
import { isBusy } from './model';
import type { GitProps } from './section';
import type { Repo, Task } from './types';
import { inProgress, operationWords, taskWords } from './words';

/** What goes on, with a way to end it. */
export function Going(props: { readonly task: Task | null; readonly trans: Words; readonly cancel: () => void }): JSX.Element | null {
  const { task, trans } = props;
  if (!task || task.quiet) {
    return null;
  }
  const words = task.cancelling ? trans.__('Cancelling…') : taskWords(task, trans);
  const percent = task.fraction === null ? null : Math.round(100 * task.fraction);
  return (
    <div className="mlmagics-git-going">
      <div
        className="mlmagics-track"
        role="progressbar"
        aria-label={operationWords(task.operation, trans)}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent ?? undefined}
        aria-valuetext={words}
        data-unknown={percent === null}
      >
        <div style={{ width: `${percent ?? 100}%` }} />
      </div>
      <div className="mlmagics-git-line">
        <span className="mlmagics-name">{words}</span>
        <button type="button" className="jp-Button mlmagics-button" disabled={task.cancelling} onClick={props.cancel}>
          {trans.__('Cancel')}
        </button>
      </div>
    </div>
  );
}

/** How the last thing ended, where that needs to be told. */
export function Told({ state, trans, dismiss }: GitProps): JSX.Element {
  const { outcome } = state;
  return (
    <div role="alert">
      {outcome && (
        <div className="mlmagics-trouble mlmagics-git-told">
          <div>
            {lines(outcome.message).map((line, at) => (
              <p key={at}>{line}</p>
            ))}
            {outcome.paths.length > 0 && (
              <ul>
                {outcome.paths.slice(0, 20).map(path => (
                  <li key={path}>{oneLine(path)}</li>
                ))}
              </ul>
            )}
            {outcome.next && <p>{oneLine(outcome.next)}</p>}
          </div>
          <button type="button" className="mlmagics-git-icon" aria-label={trans.__('Dismiss')} title={trans.__('Dismiss')} onClick={dismiss}>
            <closeIcon.react tag="span" width="14px" height="14px" />
          </button>
        </div>
      )}
    </div>
  );
}

const lines = (text: string): readonly string[] => text.split('\n').map(line => oneLine(line)).filter(Boolean);

/** What stands in the way of Pull and Push, or of the repository itself. */
export function Warnings(props: GitProps & { readonly repo: Repo }): JSX.Element {
  const { repo, trans } = props;
  const { programs } = repo;
  return (
    <>
      {repo.locked && <p className="mlmagics-trouble">{oneLine(repo.locked)}</p>}
      {repo.remotes
        .filter(({ trouble }) => trouble)
        .map(({ name, trouble }) => (
          <p key={name} className="mlmagics-trouble">
            {trans.__('%1: %2', oneLine(name), oneLine(trouble))}
          </p>
        ))}
      {!repo.remotes.length && !repo.in_progress && (
        <p className="mlmagics-empty">
          {trans.__('This repository has no remote, so there is nothing to pull from and push to. Add one in a terminal: git remote add origin ADDRESS')}
        </p>
      )}
      {programs?.trusted === null && (
        <div className="mlmagics-trouble">
          <p>
            {trans.__('This repository names programs that do not run until you decide: %1.', [...programs.names, ...programs.hooks].map(oneLine).join(', '))}
          </p>
          <button type="button" className="jp-Button mlmagics-button" onClick={props.trust}>
            {trans.__('Decide…')}
          </button>
        </div>
      )}
    </>
  );
}

/** In the middle of a merge or a rebase: on, or back. */
export function Unfinished(props: GitProps & { readonly repo: Repo }): JSX.Element {
  const { repo, trans, state } = props;
  const isOff = isBusy(state);
  return (
    <div className="mlmagics-trouble mlmagics-git-unfinished">
      <p>{inProgress(repo, trans)}</p>
      <button type="button" className="jp-Button mlmagics-button mlmagics-git-main" disabled={isOff || repo.conflicts.length > 0} onClick={props.goOn}>
        {trans.__('Continue')}
      </button>
      <button type="button" className="jp-Button mlmagics-button" disabled={isOff} onClick={props.abort}>
        {trans.__('Go back to how it was…')}
      </button>
    </div>
  );
}
