/** What the sidebar knows, and how it changes. Pure: no network, no page. */

import type { ClusterView, JobView, Trouble } from './types';

/**
 * How the Jupyter server does: `missing` is a server without its part of mlmagics, `offline` one that does not
 * answer, `refused` one that answers with a no.
 */
export type Phase = 'loading' | 'ready' | 'offline' | 'missing' | 'refused';

export interface State {
  readonly phase: Phase;
  /** What it said when it is not ready. */
  readonly problem: string;
  /** Version of the other half, when it is not that of this one. */
  readonly otherVersion: string;
  /** Jobs of all people, or of the one who looks. */
  readonly everybody: boolean;
  /** Null until they were told. */
  readonly jobs: readonly JobView[] | null;
  readonly troubles: readonly Trouble[];
  readonly clusters: readonly ClusterView[] | null;
}

export const START: State = {
  phase: 'loading',
  problem: '',
  otherVersion: '',
  everybody: false,
  jobs: null,
  troubles: [],
  clusters: null
};

export type Change =
  | { readonly type: 'jobs'; readonly jobs: readonly JobView[]; readonly troubles: readonly Trouble[] }
  | { readonly type: 'job'; readonly job: JobView }
  | { readonly type: 'clusters'; readonly clusters: readonly ClusterView[] }
  | { readonly type: 'phase'; readonly phase: Phase; readonly problem?: string }
  | { readonly type: 'version'; readonly own: string; readonly other: string }
  | { readonly type: 'everybody'; readonly everybody: boolean };

/** The state after `change`; the same object when nothing has changed. */
export function reduce(state: State, change: Change): State {
  switch (change.type) {
    case 'jobs':
      return { ...state, jobs: known(state.jobs, change.jobs), troubles: change.troubles };
    case 'job':
      return state.jobs === null ? state : { ...state, jobs: known(state.jobs, put(state.jobs, change.job)) };
    case 'clusters':
      return { ...state, clusters: change.clusters };
    case 'phase':
      if (state.phase === change.phase && state.problem === (change.problem ?? '')) {
        return state;
      }
      return { ...state, phase: change.phase, problem: change.problem ?? '' };
    case 'version':
      return { ...state, otherVersion: change.own === change.other ? '' : change.other };
    case 'everybody':
      return { ...state, everybody: change.everybody, jobs: null };
  }
}

export const isActive = (job: JobView): boolean => ['queued', 'preparing', 'running'].includes(job.state);
export const isMine = (job: JobView): boolean => job.mine !== false;
export const isSame = (one: JobView, other: JobView): boolean =>
  one.cluster === other.cluster && one.job_id === other.job_id && one.agent_id === other.agent_id;

/** An end is final: a list that was on its way while a job ended must not make it run again. */
function known(before: readonly JobView[] | null, jobs: readonly JobView[]): readonly JobView[] {
  const ended = (before ?? []).filter(job => !isActive(job));
  return jobs.map(job => (isActive(job) && ended.find(old => isSame(old, job))) || job);
}

function put(jobs: readonly JobView[], job: JobView): readonly JobView[] {
  const old = jobs.find(one => isSame(one, job));
  if (!old) {
    return [job, ...jobs];
  }
  // whose it is does not change, and a list knows it better than a look at one job
  const merged = { ...job, mine: old.mine };
  return jobs.map(one => (one === old ? merged : one));
}

export type GroupName = 'running' | 'queued' | 'ended';

export interface Group {
  readonly name: GroupName;
  readonly jobs: readonly JobView[];
}

const newest = (a: number | null | undefined, b: number | null | undefined): number => (b ?? 0) - (a ?? 0);

const ORDERS: Record<GroupName, (a: JobView, b: JobView) => number> = {
  running: (a, b) => newest(a.started_at, b.started_at),
  queued: (a, b) =>
    a.cluster.localeCompare(b.cluster) || (a.position ?? Infinity) - (b.position ?? Infinity) || a.job_id - b.job_id,
  ended: (a, b) => newest(a.ended_at, b.ended_at)
};

const groupOf = (job: JobView): GroupName =>
  job.state === 'queued' ? 'queued' : isActive(job) ? 'running' : 'ended';

/** Jobs as they are listed: those that run, the queue in its order, those that have ended. */
export function groups(jobs: readonly JobView[]): readonly Group[] {
  return (['running', 'queued', 'ended'] as const)
    .map(name => ({
      name,
      jobs: jobs.filter(job => groupOf(job) === name).sort((a, b) => ORDERS[name](a, b) || b.job_id - a.job_id)
    }))
    .filter(group => group.jobs.length > 0);
}

/** How many of the person's own jobs run and wait. */
export function counts(state: State): { readonly running: number; readonly queued: number } {
  const own = (state.jobs ?? []).filter(isMine);
  return {
    running: own.filter(job => groupOf(job) === 'running').length,
    queued: own.filter(job => groupOf(job) === 'queued').length
  };
}

/** Own jobs that ran or waited in `before` and have ended in `after`. */
export function justEnded(before: State, after: State): readonly JobView[] {
  const active = (before.jobs ?? []).filter(job => isActive(job) && isMine(job));
  return (after.jobs ?? []).filter(job => !isActive(job) && active.some(old => isSame(old, job)));
}

/** Whether one of the person's own jobs has not ended. */
export const hasActive = (state: State): boolean => (state.jobs ?? []).some(job => isMine(job) && isActive(job));

/** A job of the list, by cluster and number. */
export function find(state: State, cluster: string, id: number): JobView | undefined {
  return state.jobs?.find(job => job.cluster === cluster && job.job_id === id);
}
