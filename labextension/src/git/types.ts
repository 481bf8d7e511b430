/** What the Jupyter server tells of a repository, as it comes. */

export interface Remote {
  readonly name: string;
  readonly url: string;
  /** Why it cannot be used. */
  readonly trouble: string | null;
}

/** Programs that the repository itself names; they do not run until the person has said so. */
export interface Programs {
  readonly names: readonly string[];
  readonly hooks: readonly string[];
  /** Null until the person has decided. */
  readonly trusted: boolean | null;
  /** Of these programs, so that others are not trusted with them. */
  readonly digest: string;
}

export interface Repo {
  /** Its folder, relative to the folder of the Jupyter server; empty for that folder itself. */
  readonly root: string;
  readonly name: string;
  readonly branch: string | null;
  readonly detached: boolean;
  readonly commit: string | null;
  /** Whether the branch has no commit yet. */
  readonly unborn: boolean;
  readonly upstream: string | null;
  /** Whether the upstream is set, but not there. */
  readonly gone: boolean;
  readonly ahead: number | null;
  readonly behind: number | null;
  /** Where Pull and Push go. */
  readonly remote: string | null;
  readonly remotes: readonly Remote[];
  readonly in_progress: string | null;
  readonly conflicts: readonly string[];
  /** How far a rebase is: `3/7`. */
  readonly step: string | null;
  /** Why it cannot be changed now. */
  readonly locked: string | null;
  readonly programs: Programs | null;
}

export type Kind = 'conflict' | 'staged' | 'unstaged' | 'untracked';

/** One file that differs, in one of the ways in which it does. */
export interface FileChange {
  readonly path: string;
  readonly old_path?: string;
  /** What differs between the last commit and the next one. */
  readonly index: string;
  /** What differs between the next commit and the folder. */
  readonly worktree: string;
  readonly kind: Kind;
  /** A folder of which git knows nothing. */
  readonly folder?: boolean;
  /** A repository inside. */
  readonly repository?: boolean;
  readonly submodule?: boolean;
  /** A notebook of which only outputs differ. */
  readonly outputs_only?: boolean;
  /** How both sides differ. */
  readonly conflict?: string;
}

export interface Status {
  readonly repo: Repo | null;
  /** Why there is none. */
  readonly reason?: string;
  readonly files: readonly FileChange[];
  readonly counts: Readonly<Record<Kind, number>>;
  /** How many files are not listed. */
  readonly truncated: number;
  /** What goes on in the repository. */
  readonly task: Task | null;
}

export type TaskState =
  | 'running'
  | 'done'
  | 'failed'
  | 'cancelled'
  | 'needs_credentials'
  | 'needs_choice'
  | 'conflict';

/** Where a secret may be kept. */
export type Keep = 'memory' | 'keyring';

/** Something in what a push would send that looks like a secret. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  /** The line, with the secret masked. */
  readonly preview: string;
  readonly commit: string;
  readonly fingerprint: string;
}

/** A fetch, a pull or a push. All states but `running` are final. */
export interface Task {
  readonly type: 'git-task';
  readonly task: string;
  readonly root: string;
  readonly operation: 'fetch' | 'pull' | 'push';
  /** Nobody asked for it: its failure is no news. */
  readonly quiet: boolean;
  readonly state: TaskState;
  readonly cancelling: boolean;
  /** What git says that it does now. */
  readonly progress: string;
  readonly fraction: number | null;
  /** What came of it, in a sentence. */
  readonly message: string;
  /** What can be done next, in a sentence. */
  readonly next: string;
  readonly code: string | null;
  /** The files that it failed for. */
  readonly paths?: readonly string[];
  readonly remote_says?: readonly string[];
  readonly credentials?: {
    /** A user name and a token, or the passphrase of a key. */
    readonly kind: 'token' | 'passphrase';
    /** Who asks: a host, or the file of a key. */
    readonly host: string;
    readonly username: string;
    readonly refused: boolean;
    readonly keeps: readonly Keep[];
  };
  readonly choice?: 'diverged' | 'secrets';
  readonly ahead?: number;
  readonly behind?: number;
  readonly findings?: readonly Finding[];
  /** What could not be looked through. */
  readonly unscanned?: string | null;
  readonly conflicts?: readonly string[];
  /** Whether the conflict was left in the folder, to be resolved. */
  readonly kept?: boolean;
}

export interface Branch {
  readonly name: string;
  /** Whether only a remote has it. */
  readonly remote: boolean;
}

export interface Branches {
  readonly current: string | null;
  readonly branches: readonly Branch[];
  readonly truncated: number;
}

export interface Identity {
  readonly name: string;
  readonly email: string;
}

export interface Commit {
  readonly commit: string;
  readonly branch: string | null;
  /** Notebooks that went in without their outputs. */
  readonly stripped: number;
  readonly hooks_skipped: readonly string[];
}

export interface DiffLine {
  readonly sign: ' ' | '+' | '-';
  readonly text: string;
  readonly old: number | null;
  readonly new: number | null;
  readonly no_newline?: boolean;
  /** Whether only the beginning is here. */
  readonly cut?: boolean;
}

export interface Hunk {
  readonly header: string;
  readonly lines: readonly DiffLine[];
}

export interface CellDiff {
  readonly change: 'added' | 'removed' | 'changed' | 'same';
  /** How many cells are the same. */
  readonly count?: number;
  readonly type?: 'code' | 'markdown' | 'raw';
  readonly number_old?: number | null;
  readonly number_new?: number | null;
  readonly source?: readonly DiffLine[];
  readonly outputs?: string | null;
  readonly output_lines?: readonly DiffLine[];
  readonly metadata?: boolean;
}

export interface TextDiff {
  readonly kind: 'text';
  readonly path: string;
  readonly old_path?: string;
  readonly hunks: readonly Hunk[];
  readonly truncated: boolean;
  readonly old_mode?: string;
  readonly new_mode?: string;
  readonly note?: string;
}

export interface NotebookDiff {
  readonly kind: 'notebook';
  readonly path: string;
  readonly cells: readonly CellDiff[];
  readonly metadata: readonly DiffLine[];
  readonly truncated: boolean;
}

type Pair<T> = readonly [old: T | null, new_: T | null];

export type Diff =
  | TextDiff
  | NotebookDiff
  | { readonly kind: 'binary' | 'too_large'; readonly path: string; readonly sizes: Pair<number> }
  | { readonly kind: 'submodule'; readonly path: string; readonly commits: Pair<string> };
