/** Calls about the repository of a folder or file; `path` is relative to the folder of the Jupyter server. */

import type { Api } from '../api';
import type { Branches, Commit, Diff, FileChange, Identity, Keep, Kind, Status, Task } from './types';

export type Mode = 'ff' | 'rebase' | 'merge';
export type Side = 'mine' | 'theirs' | 'marked';

/** Files by name, or all of a kind. */
export type Which = { readonly paths: readonly string[] } | { readonly all: 'unstaged' | 'untracked' | 'both' | 'staged' };

interface Done {
  readonly done: number;
}

interface Started {
  readonly task: string;
}

const NOTHING: Status = {
  repo: null,
  files: [],
  counts: { conflict: 0, staged: 0, unstaged: 0, untracked: 0 },
  truncated: 0,
  task: null
};

export class GitApi {
  constructor(private readonly api: Api) {}

  async status(path: string, signal: AbortSignal): Promise<Status> {
    // where there is no repository only the reason is told
    return { ...NOTHING, ...(await this.call<Status>('status', { path }, signal)) };
  }

  stage(path: string, which: Which): Promise<Done> {
    return this.call('stage', { path, ...which });
  }

  unstage(path: string, which: Which): Promise<Done> {
    return this.call('unstage', { path, ...which });
  }

  discard(path: string, files: readonly { readonly path: string; readonly kind: Kind }[]): Promise<Done> {
    return this.call('discard', { path, files });
  }

  diff(path: string, file: FileChange, signal: AbortSignal): Promise<Diff> {
    const { kind } = file;
    const more = kind === 'untracked' || kind === 'conflict' ? { kind } : {};
    return this.call('diff', { path, file: file.path, staged: kind === 'staged', ...more }, signal);
  }

  identity(path: string): Promise<Identity | null> {
    return this.call('identity', { path });
  }

  commit(path: string, message: string, author: Identity | null, stripOutputs: boolean): Promise<Commit> {
    const who = author && { author: { ...author, keep: true } };
    return this.call('commit', { path, message, strip_outputs: stripOutputs, ...who });
  }

  branches(path: string): Promise<Branches> {
    return this.call('branches', { path });
  }

  switchTo(path: string, branch: string, remote: boolean): Promise<{ readonly branch: string }> {
    return this.call('switch', { path, branch, remote });
  }

  trust(path: string, digest: string, trusted: boolean): Promise<unknown> {
    return this.call('trust', { path, digest, trusted });
  }

  fetch(path: string, quiet: boolean): Promise<Started> {
    return this.call('fetch', { path, quiet });
  }

  pull(path: string, mode: Mode, keepConflicts: boolean): Promise<Started> {
    return this.call('pull', { path, mode, keep_conflicts: keepConflicts });
  }

  push(path: string, remote: string | null, allow: readonly string[]): Promise<Started> {
    return this.call('push', { path, ...(remote === null ? {} : { remote }), set_upstream: true, allow });
  }

  abort(path: string): Promise<unknown> {
    return this.call('abort', { path });
  }

  goOn(path: string): Promise<{ readonly done: boolean; readonly conflicts: readonly string[] }> {
    return this.call('continue', { path });
  }

  resolve(path: string, paths: readonly string[], side: Side): Promise<Done> {
    return this.call('resolve', { path, paths, side });
  }

  credentials(host: string, username: string, token: string, keep: Keep): Promise<unknown> {
    return this.call('credentials', { host, username, token, keep });
  }

  async task(id: string): Promise<Task> {
    return (await (await this.api.request(taskPath(id))).json()) as Task;
  }

  async cancel(id: string): Promise<Task> {
    return (await (await this.api.request(taskPath(id), { method: 'DELETE' })).json()) as Task;
  }

  private async call<T>(name: string, body: object, signal?: AbortSignal): Promise<T> {
    const response = await this.api.request(`api/git/${name}`, { method: 'POST', body: JSON.stringify(body), signal });
    return (await response.json()) as T;
  }
}

const taskPath = (id: string): string => `api/git/tasks/${encodeURIComponent(id)}`;
