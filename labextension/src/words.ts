/** How jobs and clusters are told in two short lines. Pure. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { isActive } from './model';
import { clock, duration, oneLine, size } from './page';
import type { ClusterView, JobView } from './types';

/** The part of a translation bundle that is used, so that tests need no JupyterLab. */
export type Words = Pick<TranslationBundle, '__' | '_n'>;

/**
 * `bundle` with values filled in as they are: JupyterLab's own way reads the percent signs of a name such as `100%% %1.py`
 * as its own.
 */
export function exactly(bundle: Words): Words {
  return {
    __: (text, ...values) => filled(bundle.__(text, ...values.map(place)), values),
    _n: (one, more, n, ...values) => filled(bundle._n(one, more, n, ...values.map(place)), values)
  };
}

const place = (_: unknown, at: number): string => `\ue000${at}\ue001`;
const filled = (text: string, values: readonly unknown[]): string =>
  text.replace(/\ue000(\d+)\ue001/g, (_, at: string) => String(values[Number(at)]));

const MAX_NOTE = 300;

/** What a job is called, on one line. */
export const title = (job: JobView): string => oneLine(job.name) || job.ref;

/** A duration without what nobody looks at: seconds once there are minutes. */
export function roughly(seconds: number): string {
  return seconds < 60 ? duration(Math.round(Math.max(0, seconds))) : duration(60 * Math.floor(seconds / 60));
}

/** A time of day without its seconds. */
const minute = (at: number, now: number): string => clock(at, now).replace(/(:\d\d):\d\d$/, '$1');

/** The facts of a job, below its name. */
export function facts(job: JobView, now: number, trans: Words, percent: number | null = null): string[] {
  const parts: string[] = [];
  if (oneLine(job.name)) {
    parts.push(job.ref);
  }
  if (job.state === 'queued') {
    return [...parts, ...waiting(job, now, trans)];
  }
  if (job.gpus) {
    parts.push(trans._n('%1 GPU', '%1 GPUs', job.gpus));
  }
  if (isActive(job)) {
    if (job.started_at) {
      parts.push(roughly(now - job.started_at));
    }
    if (percent !== null) {
      parts.push(`${percent} %`);
    }
    return parts;
  }
  if (job.started_at && job.ended_at) {
    parts.push(roughly(job.seconds ?? job.ended_at - job.started_at));
  }
  if (job.ended_at) {
    parts.push(minute(job.ended_at, now));
  }
  return job.reason ? [oneLine(job.reason).slice(0, MAX_NOTE), ...parts] : parts;
}

function waiting(job: JobView, now: number, trans: Words): string[] {
  const parts: string[] = [];
  if (job.position) {
    parts.push(job.position === 1 ? trans.__('next') : trans.__('place %1', job.position));
  }
  if (job.waiting_for) {
    parts.push(oneLine(job.waiting_for).slice(0, MAX_NOTE));
  }
  if (job.starts_by) {
    parts.push(trans.__('starts by %1', minute(job.starts_by, now)));
  }
  return parts;
}

/** What a job has or asks for: `2 GPUs, 8 CPUs, 64 GiB`. */
export function resources(job: JobView, trans: Words): string {
  const gpus = job.gpus ? trans._n('%1 GPU', '%1 GPUs', job.gpus) : trans.__('no GPU');
  const parts = [gpus, trans._n('%1 CPU', '%1 CPUs', job.cpus ?? 1)];
  return [...parts, ...(job.memory_bytes ? [size(job.memory_bytes)] : [])].join(', ');
}

/** The facts of a cluster, below its name. */
export function clusterFacts(cluster: ClusterView, trans: Words): string[] {
  const parts: string[] = [];
  if (cluster.gpus !== null) {
    parts.push(cluster.gpus ? trans.__('%1 of %2 GPUs free', cluster.gpus_free ?? 0, cluster.gpus) : trans.__('no GPU'));
  }
  if (cluster.running !== null) {
    parts.push(trans.__('%1 running', cluster.running), trans.__('%1 queued', cluster.queued ?? 0));
  }
  if (cluster.round_trip_ms !== null) {
    parts.push(`${Math.max(1, Math.round(cluster.round_trip_ms))} ms`);
  }
  return parts;
}

/** The counts in the status bar; empty when nothing runs or waits. */
export function summary(running: number, queued: number, trans: Words): string {
  const parts = running ? [trans.__('%1 running', running)] : [];
  return [...parts, ...(queued ? [trans.__('%1 queued', queued)] : [])].join(', ');
}

/** What is said when a job has ended. */
export function endWords(job: JobView, trans: Words): string {
  const reason = job.state === 'succeeded' || !job.reason ? '' : `: ${oneLine(job.reason).slice(0, MAX_NOTE)}`;
  const name = oneLine(job.name);
  return trans.__('Job %1: %2%3', name ? `${job.ref} ${name}` : job.ref, job.word, reason);
}

const MOST_TOLD = 5;

/** What is said when several have ended, one on each line. */
export function endsWords(jobs: readonly JobView[], trans: Words): string {
  const told = jobs.slice(0, MOST_TOLD).map(job => endWords(job, trans));
  const more = jobs.length - told.length;
  const last = more > 0 ? [trans._n('and %1 more', 'and %1 more', more)] : [];
  return [trans._n('%1 job has ended.', '%1 jobs have ended.', jobs.length), ...told, ...last].join('\n');
}

/** `NAME URL`, `URL`, or a whole line `%attachments add NAME URL`, as what it says. */
export function readInvite(text: string): { readonly name: string; readonly url: string } {
  const said = text.trim().replace(/^[%!]?\s*(mlmagics\s+)?attachments\s+add\s+/, '');
  const parts = said.split(/\s+/).map(part => part.replace(/^(["'])(.*)\1$/, '$2'));
  const url = parts.find(part => /^[a-z][a-z0-9+]*:\/\//i.test(part)) ?? '';
  const name = parts[0] !== url && /^[a-z][a-z0-9._-]*$/.test(parts[0]) ? parts[0] : '';
  return { name, url };
}
