/** Open documents, known by what they have and not by their class. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Contents } from '@jupyterlab/services';
import { joined } from './model';

interface Context {
  readonly path: string;
  readonly model: { readonly dirty: boolean };
  readonly contentsModel: Omit<Contents.IModel, 'content'> | null;
  save(): Promise<void>;
  revert(): Promise<void>;
}

/** Where several people write into one document, its path begins with this. */
const SHARED_DRIVE = 'RTC';

/** A path of JupyterLab as the Jupyter server has it; null when it is of another drive. */
export function serverPath(contents: Contents.IManager, path: string): string | null {
  const drive = contents.driveName(path);
  return drive === '' || drive === SHARED_DRIVE ? contents.localPath(path) : null;
}

/** The document that a widget shows. */
export function contextOf(widget: object | null): Context | null {
  const { context } = (widget ?? {}) as { context?: Partial<Context> };
  return typeof context?.path === 'string' && context.model && context.revert ? (context as Context) : null;
}

/** The documents that are open. */
export class Documents {
  constructor(private readonly app: JupyterFrontEnd) {}

  /** Those with changes that are not saved, by their path below `root`. */
  unsaved(root: string, paths?: readonly string[]): ReadonlyMap<string, Context> {
    const open = [...this.below(root)].filter(([path, { model }]) => model.dirty && isAmong(path, paths));
    return new Map(open);
  }

  /** Read again what git may have changed below `root`; documents that are not saved stay as they are. */
  async reload(root: string): Promise<void> {
    await Promise.all([...this.below(root).values()].map(context => this.reloadOne(context)));
  }

  /** Let these be as in their files, whatever was typed into them. */
  async revert(root: string, paths: readonly string[]): Promise<void> {
    const open = [...this.below(root)].filter(([path]) => isAmong(path, paths));
    // a file that is not there any more stays open, to be saved again
    await Promise.allSettled(open.map(([, context]) => context.revert()));
  }

  /** Open a file of the Jupyter server. */
  open(root: string, path: string): void {
    void this.app.commands.execute('docmanager:open', { path: joined(root, path) });
  }

  private async reloadOne(context: Context): Promise<void> {
    if (context.model.dirty) {
      return;
    }
    try {
      const { last_modified } = await this.app.serviceManager.contents.get(context.path, { content: false });
      if (last_modified !== context.contentsModel?.last_modified) {
        await context.revert();
      }
    } catch {
      // gone with the branch: what was read stays on the screen
    }
  }

  private below(root: string): ReadonlyMap<string, Context> {
    const found = new Map<string, Context>();
    const above = root ? `${root}/` : '';
    for (const widget of this.app.shell.widgets('main')) {
      const context = contextOf(widget);
      const path = context && serverPath(this.app.serviceManager.contents, context.path);
      if (context && path?.startsWith(above)) {
        found.set(path.slice(above.length), context);
      }
    }
    return found;
  }
}

/** Whether `path` is one of `paths`, or in a folder of them; of all, when none are named. */
const isAmong = (path: string, paths?: readonly string[]): boolean =>
  !paths || paths.some(one => path === one || (one.endsWith('/') && path.startsWith(one)));
