/** Answers of a real server, which the tests of the server compare with what it answers now. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterView, JobView, Trouble } from '../src/types';

const FOLDER = join(process.cwd(), '..', 'tests', 'lab_server', 'recorded');

export const read = (name: string): unknown => JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));

export const jobs = (): { jobs: JobView[]; troubles: Trouble[] } => read('jobs') as never;
export const clusters = (): ClusterView[] => (read('clusters') as { clusters: ClusterView[] }).clusters;
export const version = (): { version: string } => read('version') as never;
export const events = (): { type: string }[] => read('events') as never;

/** A job of the recorded ones, by its number, with changes. */
export function job(id: number, changes: Partial<JobView> = {}): JobView {
  const found = jobs().jobs.find(one => one.job_id === id);
  if (!found) {
    throw new Error(`no job ${id} was recorded`);
  }
  return { ...found, ...changes };
}

/** Translates nothing, and fills in as JupyterLab does. */
export const trans = {
  __: (text: string, ...values: unknown[]): string => filled(text, values),
  _n: (one: string, more: string, n: number, ...values: unknown[]): string => filled(n === 1 ? one : more, [n, ...values])
};

function filled(text: string, values: unknown[]): string {
  return text
    .replace(/%%/g, '%% ')
    .replace(/%(\d+)/g, (_, place: string) => String(values[Number(place) - 1]))
    .replace(/%% /g, '%');
}
