/** How commands are made that act on one thing: a job, a cluster, a changed file. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { LabIcon } from '@jupyterlab/ui-components';
import type { ReadonlyJSONObject, ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { reasonOf } from './failures';
import type { Words } from './words';

export type Args = ReadonlyPartialJSONObject;

/** A schema of arguments, each a text or a number. */
export function argsOf(properties: Record<string, { readonly type: string; readonly description: string }> = {}): {
  args: ReadonlyJSONObject;
} {
  return { args: { type: 'object', properties } };
}

/** One command. */
export interface Of<T> {
  readonly label: string;
  readonly caption: string;
  readonly icon?: LabIcon;
  readonly act: (what: T) => void | Promise<void>;
  readonly enabled?: (what: T) => boolean;
}

/** The things that some commands act on. */
export interface Kind<N, T> {
  readonly describedBy: { args: ReadonlyJSONObject };
  /** Which one is meant by the arguments, or else by the page; null when none is. */
  readonly named: (args: Args) => N | null;
  /** It, as far as it is known without asking. */
  readonly known: (named: N) => T | undefined;
  readonly get: (named: N) => T | Promise<T>;
}

/** What registers commands that act on things of a kind. */
export function adder<N, T>(app: JupyterFrontEnd, trans: Words, kind: Kind<N, T>): (id: string, of: Of<T>) => void {
  return (id, { label, caption, icon, act, enabled }) => {
    app.commands.addCommand(id, {
      label,
      caption,
      icon,
      describedBy: kind.describedBy,
      isEnabled: args => {
        const named = kind.named(args);
        const known = named === null ? undefined : kind.known(named);
        return named !== null && (!enabled || known === undefined || enabled(known));
      },
      execute: async args => {
        const named = kind.named(args);
        if (named !== null) {
          await told(trans, async () => act(await kind.get(named)));
        }
      }
    });
  };
}

/** Do something; what goes wrong is told to the person. */
export async function told(trans: Words, act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    Notification.error(reasonOf(error) || trans.__('That did not work; try again.'));
  }
}

/** The key of the row below the menu, else of the row that has the focus, else of the one that is chosen; or ''. */
export function keyAt(app: JupyterFrontEnd, className: string): string {
  const below = app.contextMenuHitTest(node => node.classList.contains(className));
  const row =
    below ??
    document.activeElement?.closest<HTMLElement>(`.${className}`) ??
    document.querySelector<HTMLElement>(`.${className}[aria-selected=true]`);
  return row?.dataset.key ?? '';
}
