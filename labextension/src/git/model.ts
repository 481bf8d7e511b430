/** What the section knows of a repository, and how it changes. Pure: no network, no page. */

import type { FileChange, Kind, Repo, Status, Task } from './types';

/** Why nothing can be told of the place that is looked at. */
export type Phase = 'loading' | 'ready' | 'failed';

/** How something ended that a person should know of. */
export interface Outcome {
  readonly message: string;
  readonly next: string;
  /** The files that it is about. */
  readonly paths: readonly string[];
}

export interface GitState {
  /** The folder or file that is looked at. */
  readonly place: string;
  readonly phase: Phase;
  /** What the server said when it could not tell. */
  readonly problem: string;
  readonly status: Status | null;
  /** The last task of each repository, by its folder. */
  readonly tasks: Readonly<Record<string, Task>>;
  /** What went wrong last in this repository. */
  readonly outcome: Outcome | null;
  /** Whether a short call is on its way. */
  readonly busy: boolean;
}

export const START: GitState = {
  place: '',
  phase: 'loading',
  problem: '',
  status: null,
  tasks: {},
  outcome: null,
  busy: false
};

export type Event =
  | { readonly type: 'place'; readonly place: string }
  | { readonly type: 'status'; readonly status: Status }
  | { readonly type: 'unknown'; readonly problem: string }
  | { readonly type: 'task'; readonly task: Task }
  | { readonly type: 'outcome'; readonly outcome: Outcome | null }
  | { readonly type: 'busy'; readonly busy: boolean };

/** The state after `event`; the same object when nothing has changed. */
export function reduce(state: GitState, event: Event): GitState {
  switch (event.type) {
    case 'place':
      return event.place === state.place ? state : { ...state, place: event.place };
    case 'status':
      return withStatus(state, event.status);
    case 'unknown':
      return { ...state, phase: 'failed', problem: event.problem };
    case 'task':
      return withTask(state, event.task);
    case 'outcome':
      return event.outcome === state.outcome ? state : { ...state, outcome: event.outcome };
    case 'busy':
      return event.busy === state.busy ? state : { ...state, busy: event.busy };
  }
}

function withStatus(state: GitState, status: Status): GitState {
  // what was told of another repository is not told of this one
  const outcome = state.status?.repo?.root === status.repo?.root ? state.outcome : null;
  const next = status.task ? withTask(state, status.task) : state;
  return { ...next, phase: 'ready', problem: '', status, outcome };
}

/** An end is final: a message that was on its way does not make a task run again. */
function withTask(state: GitState, task: Task): GitState {
  const old = state.tasks[task.root];
  const isLate = old && !isRunning(task) && old.task !== task.task && isRunning(old);
  if (isLate || (old?.task === task.task && !isRunning(old))) {
    return state;
  }
  return { ...state, tasks: { ...state.tasks, [task.root]: task } };
}

export const isRunning = (task: Task | null | undefined): boolean => task?.state === 'running';

/** The repository that is looked at. */
export const repoOf = (state: GitState): Repo | null => state.status?.repo ?? null;

/** What goes on in the repository that is looked at. */
export function taskHere(state: GitState): Task | null {
  const task = state.tasks[repoOf(state)?.root ?? ''];
  return task && isRunning(task) ? task : null;
}

/** Whether the repository must not be changed now; a fetch that nobody asked for gives way. */
export function isBusy(state: GitState): boolean {
  const task = taskHere(state);
  return state.busy || (task !== null && !task.quiet);
}

const KINDS: readonly Kind[] = ['conflict', 'staged', 'unstaged', 'untracked'];

export interface Group {
  readonly kind: Kind;
  readonly files: readonly FileChange[];
  /** How many there are, also those that are not listed. */
  readonly count: number;
}

/** Changed files as they are listed; groups without files are left out. */
export function groups(status: Status): readonly Group[] {
  return KINDS.map(kind => {
    const files = status.files.filter(file => file.kind === kind);
    return { kind, files, count: Math.max(files.length, status.counts[kind]) };
  }).filter(group => group.count > 0);
}

/** How many files differ in some way. */
export const changedFiles = (status: Status): number => KINDS.reduce((sum, kind) => sum + status.counts[kind], 0);

/** The letter that tells how a file differs. */
export function letterOf(file: FileChange): string {
  if (file.kind === 'untracked') {
    return 'U';
  }
  if (file.kind === 'conflict') {
    return '!';
  }
  const letter = file.kind === 'staged' ? file.index : file.worktree;
  return letter === '.' ? 'M' : letter;
}

/** What can be done to files of a kind, with a button beside each. */
export type Deed = 'stage' | 'unstage' | 'discard' | 'mine' | 'theirs' | 'resolved';

const DEEDS: Record<Kind, readonly Deed[]> = {
  conflict: ['mine', 'theirs', 'resolved'],
  staged: ['unstage'],
  unstaged: ['discard', 'stage'],
  untracked: ['discard', 'stage']
};

/** A repository inside is the business of that repository. */
export const deedsOf = (file: FileChange): readonly Deed[] => (file.repository ? [] : DEEDS[file.kind]);

/** A row of the list, as one text. */
export const keyOf = (file: FileChange): string => `${file.kind} ${file.path}`;

/** The file of a row. */
export function fileOf(status: Status | null, key: string): FileChange | undefined {
  return status?.files.find(file => keyOf(file) === key);
}

/** The name of a file, and the folder that it is in. */
export function nameAndFolder(path: string): { readonly name: string; readonly folder: string } {
  const parts = path.replace(/\/$/, '').split('/');
  const name = parts.pop() ?? '';
  return { name: path.endsWith('/') ? `${name}/` : name, folder: parts.join('/') };
}

/** A path of the repository as the Jupyter server has it. */
export const joined = (root: string, path: string): string => (root ? `${root}/${path}` : path);

/** Whether `path` of the Jupyter server is in the folder `root`. */
export const isBelow = (path: string, root: string): boolean => !root || path === root || path.startsWith(`${root}/`);

/** Why a commit is not possible now; empty when it is. */
export type Hindrance = '' | 'message' | 'nothing' | 'conflict' | 'busy';

export function hindrance(state: GitState, message: string): Hindrance {
  const { status } = state;
  if (!status?.repo || isBusy(state)) {
    return 'busy';
  }
  const has = (kind: Kind): boolean => groups(status).some(group => group.kind === kind);
  if (has('conflict')) {
    return 'conflict';
  }
  if (!has('staged')) {
    return 'nothing';
  }
  return message.trim() ? '' : 'message';
}

/** When to look again while nobody says that something changed: seldom where looking takes long. */
export const lookAgainMs = (tookMs: number): number => Math.max(10_000, 20 * tookMs);

/** When to look for the sake of the branch alone: a repository in which looking takes long is left in peace. */
export const glimpseMs = (ms: number, tookMs: number): number => Math.max(ms, Math.min(60_000, 20 * tookMs));

/** The file of a comparison as arguments tell it, and its repository. */
export function comparedIn(args: Readonly<Record<string, unknown>>): { readonly root: string; readonly file: FileChange } | null {
  const { root, path, kind, index, worktree } = args;
  const areTexts = [root, path, index, worktree].every(value => typeof value === 'string');
  if (!areTexts || !KINDS.includes(kind as Kind)) {
    return null;
  }
  const { root: _, ...file } = args;
  return { root: root as string, file: file as unknown as FileChange };
}

/** What a person is told of how a task ended; nothing when it did what it was to do, or was cancelled. */
export function outcomeOf(task: Task): Outcome | null {
  if (isRunning(task) || task.state === 'done' || task.state === 'cancelled') {
    return null;
  }
  const paths = task.conflicts ?? task.paths ?? [];
  return { message: [task.message, ...(task.remote_says ?? [])].join('\n'), next: task.next, paths };
}

/** Whether it is time for a fetch in the background; `idleMs` is how long ago the last one was. */
export function shouldFetch(status: Status, idleMs: number, minutes: number): boolean {
  const { repo, task } = status;
  return !!repo && !!repo.remote && !repo.in_progress && !repo.locked && !task && idleMs >= minutes * 60_000;
}
