/** Names of jobs in the page. Pure. */

import type { JobView } from '../types';

/** Names a job; what `readKey` reads. */
export const keyOf = (job: JobView): string => `${job.cluster}/${job.job_id}`;

/** Cluster and number in a key. */
export function readKey(key: string): { readonly cluster: string; readonly job_id: number } {
  const cut = key.lastIndexOf('/');
  return { cluster: key.slice(0, cut), job_id: Number(key.slice(cut + 1)) };
}
