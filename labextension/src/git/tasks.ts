/** Tasks of the Jupyter server, followed to their end: by what the stream pushes, else by asking. Pure of any page. */

import { Offline } from '../failures';
import { isRunning } from './model';
import type { Task } from './types';

/** How long the stream may be silent before the server is asked. */
const SILENCE_MS = 2000;
const MOST_ENDED = 20;

export interface TasksOptions {
  /** Ask the server for a task. */
  readonly ask: (id: string) => Promise<Task>;
  /** Hear of each change. */
  readonly heard: (task: Task) => void;
  readonly later: (act: () => void, ms: number) => () => void;
}

interface Wait {
  readonly resolve: (task: Task) => void;
  readonly reject: (error: unknown) => void;
  cancel: () => void;
}

export class Tasks {
  private readonly waits = new Map<string, Wait>();
  /** Ends that came before somebody waited for them. */
  private readonly ended = new Map<string, Task>();

  constructor(private readonly options: TasksOptions) {}

  /** Whether somebody waits for the end of this one. */
  isAwaited(id: string): boolean {
    return this.waits.has(id);
  }

  /** Take what was told of a task. */
  take(task: Task): void {
    const wait = this.waits.get(task.task);
    this.options.heard(task);
    if (isRunning(task)) {
      if (wait) {
        this.askLater(task.task, wait);
      }
    } else if (wait) {
      this.waits.delete(task.task);
      wait.cancel();
      wait.resolve(task);
    } else {
      this.ended.set(task.task, task);
      const [oldest] = this.ended.keys();
      if (this.ended.size > MOST_ENDED) {
        this.ended.delete(oldest);
      }
    }
  }

  /** The task when it has ended, however it did. */
  end(id: string): Promise<Task> {
    const known = this.ended.get(id);
    if (known) {
      this.ended.delete(id);
      return Promise.resolve(known);
    }
    return new Promise((resolve, reject) => {
      const wait: Wait = { resolve, reject, cancel: () => undefined };
      this.waits.set(id, wait);
      this.askLater(id, wait);
    });
  }

  private askLater(id: string, wait: Wait): void {
    wait.cancel();
    wait.cancel = this.options.later(() => void this.ask(id, wait), SILENCE_MS);
  }

  private async ask(id: string, wait: Wait): Promise<void> {
    try {
      this.take(await this.options.ask(id));
    } catch (error) {
      if (!this.waits.has(id)) {
        return;
      }
      if (error instanceof Offline) {
        this.askLater(id, wait); // the task goes on without us
        return;
      }
      this.waits.delete(id);
      wait.reject(error);
    }
  }
}
