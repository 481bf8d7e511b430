/** What the Jupyter server tells, as it comes. */

import type { Task } from './git/types';

export interface JobView {
  readonly job_id: number;
  readonly cluster: string;
  /** As people write it: `gpu-box/42`. */
  readonly ref: string;
  /** The word for its state. */
  readonly word: string;
  readonly state: string;
  readonly name: string;
  readonly user: string;
  readonly agent_id: string;
  /** Its page, through the Jupyter server. */
  readonly history_url: string;
  /** The history URL that means the same job to everybody. */
  readonly shared_url?: string;
  readonly log_tag: string;
  readonly submitted_at: number;
  readonly started_at?: number | null;
  readonly ended_at?: number | null;
  readonly deadline_at?: number | null;
  readonly starts_by?: number | null;
  readonly gpus?: number;
  readonly cpus?: number;
  readonly memory_bytes?: number;
  readonly stopping?: boolean;
  readonly position?: number | null;
  readonly waiting_for?: string | null;
  readonly reason?: string | null;
  readonly exit_code?: number | null;
  readonly signal?: string | null;
  readonly seconds?: number | null;
  /** Whether it is of the person who looks; not told means that it is. */
  readonly mine?: boolean;
}

export interface ClusterView {
  readonly name: string;
  readonly state: string;
  readonly address: string;
  readonly gpus: number | null;
  readonly gpus_free: number | null;
  readonly running: number | null;
  readonly queued: number | null;
  readonly round_trip_ms: number | null;
  readonly remark: string;
  readonly usable: boolean;
}

/** A cluster that did not answer, and why. */
export type Trouble = readonly [cluster: string, reason: string];

/** What the stream pushes. */
export type Push =
  | {
      readonly type: 'jobs';
      readonly all?: boolean;
      readonly jobs: readonly JobView[];
      readonly troubles: readonly Trouble[];
    }
  | { readonly type: 'clusters'; readonly clusters: readonly ClusterView[] }
  | Task
  | { readonly type: 'trouble'; readonly error: { readonly message: string } | null };
