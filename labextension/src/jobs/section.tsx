/** The section of jobs: what runs, what waits, what has ended. */

import * as React from 'react';
import { counts, groups, isActive, isMine } from '../model';
import type { Group, GroupName, State } from '../model';
import { oneLine } from '../page';
import type { JobView } from '../types';
import { keyOf } from './keys';
import { facts, summary, title } from '../words';
import type { Words } from '../words';
import { Empty, Options } from '../widgets';

export interface JobsProps {
  readonly state: State;
  readonly trans: Words;
  readonly now: number;
  /** In percents, by key; only of jobs that tell it. */
  readonly progress: ReadonlyMap<string, number>;
  readonly open: (key: string) => void;
}

export function Jobs(props: JobsProps): JSX.Element {
  const { state, trans } = props;
  if (state.jobs === null) {
    return <Empty>{state.phase === 'loading' || state.phase === 'ready' ? trans.__('Asking the clusters…') : trans.__('No jobs to show.')}</Empty>;
  }
  const { running, queued } = counts(state);
  return (
    <>
      <div role="status" className="mlmagics-unseen">
        {summary(running, queued, trans)}
      </div>
      <Troubles state={state} trans={trans} />
      {state.jobs.length ? (
        <Options label={trans.__('Jobs')} open={props.open}>
          {groups(state.jobs).map(group => (
            <JobGroup key={group.name} group={group} {...props} />
          ))}
        </Options>
      ) : (
        <Empty>{nothing(state, trans)}</Empty>
      )}
    </>
  );
}

/** Clusters whose jobs are not here: why is told below their names, and here where it is not. */
function Troubles({ state, trans }: { readonly state: State; readonly trans: Words }): JSX.Element {
  const isToldBelow = (name: string): boolean => !!state.clusters?.some(cluster => cluster.name === name && !cluster.usable && cluster.remark);
  const below = state.troubles.filter(([name]) => isToldBelow(name));
  const reasons = below.map(([name, reason]) => withName(name, reason)).join('\n');
  return (
    <>
      {below.length > 0 && (
        <p className="mlmagics-trouble" title={reasons}>
          {trans.__('Without the jobs of %1: see Clusters.', below.map(([name]) => name).join(', '))}
        </p>
      )}
      {state.troubles
        .filter(one => !below.includes(one))
        .map(([cluster, reason]) => (
          <p className="mlmagics-trouble" key={cluster}>
            {withName(cluster, reason)}
          </p>
        ))}
    </>
  );
}

function withName(cluster: string, reason: string): string {
  const told = oneLine(reason);
  return told.startsWith(`${cluster}:`) ? told : `${cluster}: ${told}`;
}

function nothing(state: State, trans: Words): string {
  const name = state.clusters?.find(cluster => cluster.usable)?.name ?? 'local';
  return state.everybody
    ? trans.__('No jobs yet. A cell that begins with %%%%%1 runs there and shows up here.', name)
    : trans.__('You have no jobs yet. A cell that begins with %%%%%1 runs there and shows up here.', name);
}

function JobGroup(props: JobsProps & { readonly group: Group }): JSX.Element {
  const { group, trans } = props;
  const name = groupName(group.name, trans);
  return (
    <div role="group" aria-label={name}>
      <div className="mlmagics-group" aria-hidden="true">
        {name} <span className="mlmagics-count">{group.jobs.length}</span>
      </div>
      {group.jobs.map(job => (
        <JobRow key={keyOf(job)} job={job} {...props} />
      ))}
    </div>
  );
}

function groupName(name: GroupName, trans: Words): string {
  return { running: trans.__('Running'), queued: trans.__('Queued'), ended: trans.__('Ended') }[name];
}

function JobRow(props: JobsProps & { readonly job: JobView }): JSX.Element {
  const { job, trans, now } = props;
  const percent = isActive(job) ? (props.progress.get(keyOf(job)) ?? null) : null;
  const told = facts(job, now, trans, percent);
  const lines = props.state.everybody && !isMine(job) ? [oneLine(job.user), ...told] : told;
  const second = lines.join(', ');
  return (
    <div
      role="option"
      className="mlmagics-row mlmagics-job"
      data-key={keyOf(job)}
      data-state={job.stopping && isActive(job) ? 'stopping' : job.state}
      aria-label={`${job.word}: ${title(job)}, ${second}`}
      title={`${job.word}: ${title(job)}\n${second}`}
    >
      <div className="mlmagics-first">
        <span className="mlmagics-state">{job.word}</span>
        <span className="mlmagics-name">{title(job)}</span>
      </div>
      <div className="mlmagics-second">{second}</div>
      {percent !== null && (
        <div className="mlmagics-track" aria-hidden="true">
          <div style={{ width: `${percent}%` }} />
        </div>
      )}
    </div>
  );
}
