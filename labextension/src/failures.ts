/** What a call to the Jupyter server can end with, beside an answer. */

import { Refused } from './page';

/** The Jupyter server does not answer. */
export class Offline extends Error {}

export interface Told {
  readonly code?: string;
  readonly message?: string;
  readonly paths?: readonly string[];
}

/** The Jupyter server said no. */
export class Declined extends Refused {
  /** The files that it is about, where it names some. */
  readonly paths: readonly string[];

  constructor(status: number, told: Told = {}) {
    super(status, told as never);
    this.paths = told.paths ?? [];
  }
}

/** What a person is told of an error. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
