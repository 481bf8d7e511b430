/** Answers of a real server about a repository, with changes. */

import type { FileChange, Repo, Status, Task } from '../src/git/types';
import { read } from './recorded';

export const status = (changes: Partial<Status> = {}): Status => ({ ...(read('git_status') as Status), ...changes });

export function repo(changes: Partial<Repo> = {}): Repo {
  const { repo: known } = status();
  if (!known) {
    throw new Error('no repository was recorded');
  }
  return { ...known, ...changes };
}

export function file(path: string, changes: Partial<FileChange> = {}): FileChange {
  const found = status().files.find(one => one.path === path);
  if (!found) {
    throw new Error(`${path} was not recorded`);
  }
  return { ...found, ...changes };
}

export const task = (changes: Partial<Task> = {}): Task => ({ ...(read('git_task') as Task), ...changes });
