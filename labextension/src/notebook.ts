/** The notebook that a person looks at, known by what it has and not by its class. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Kernel } from '@jupyterlab/services';

interface SharedModel {
  setSource(source: string): void;
}

interface Editor {
  focus(): void;
  setCursorPosition(position: { line: number; column: number }): void;
}

interface Cell {
  readonly editor: Editor | null;
  readonly model: { readonly sharedModel: SharedModel & { getSource(): string } };
}

interface Notebook {
  readonly id: string;
  readonly content: { readonly activeCell: Cell | null };
  readonly context: { readonly sessionContext: { readonly ready: Promise<void>; readonly session: Session | null } };
}

interface Session {
  readonly kernel: Kernel.IKernelConnection | null;
}

/** The active notebook; null when another kind of document, or none, is active. */
export function activeNotebook(app: JupyterFrontEnd): Notebook | null {
  const widget = app.shell.currentWidget as (Partial<Notebook> & object) | null;
  return widget?.context?.sessionContext && widget.content && 'activeCell' in widget.content
    ? (widget as Notebook)
    : null;
}

/** Why a cell was put in, but the magics are not loaded; empty when they are. */
export type Loaded = '' | 'no-kernel' | 'failed';

/** Put `%%NAME` at the top of the active cell when it is empty, else of a new one above, with the magics loaded. */
export async function insertMagic(app: JupyterFrontEnd, notebook: Notebook, name: string): Promise<Loaded> {
  const loaded = await load(notebook);
  if (notebook.content.activeCell?.model.sharedModel.getSource().trim()) {
    await app.commands.execute('notebook:insert-cell-below');
  }
  const cell = notebook.content.activeCell;
  cell?.model.sharedModel.setSource(`%%${name}\n`);
  // what is typed next goes into the cell
  app.shell.activateById(notebook.id);
  // the shell gives the focus to the notebook when it is idle
  await new Promise(resolve => requestAnimationFrame(resolve));
  await app.commands.execute('notebook:enter-edit-mode');
  cell?.editor?.focus();
  cell?.editor?.setCursorPosition({ line: 1, column: 0 });
  return loaded;
}

async function load(notebook: Notebook): Promise<Loaded> {
  const { sessionContext } = notebook.context;
  await sessionContext.ready;
  const kernel = sessionContext.session?.kernel;
  if (!kernel || kernel.status === 'dead') {
    return 'no-kernel';
  }
  const loading = kernel.requestExecute({
    code: "get_ipython().run_line_magic('load_ext', 'mlmagics')",
    silent: true,
    store_history: false,
    stop_on_error: false
  });
  const reply = await loading.done;
  return reply.content.status === 'ok' ? '' : 'failed';
}
