/** Which folder or file a person looks at: the document or the folder that they went to last. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { FileBrowser } from '@jupyterlab/filebrowser';
import { contextOf, serverPath } from './documents';
import type { GitStore } from './store';

/** Let the section follow the person. */
export function followPlace(app: JupyterFrontEnd, browser: FileBrowser | null, store: GitStore): void {
  const { contents } = app.serviceManager;
  const go = (path: string | undefined): void => {
    const place = path === undefined ? null : serverPath(contents, path);
    if (place !== null) {
      store.go(place);
    }
  };
  const goToDocument = (): void => go(contextOf(app.shell.currentWidget)?.path);
  browser?.model.pathChanged.connect((_, { newValue }) => go(newValue));
  app.shell.currentChanged?.connect(goToDocument);
  contents.fileChanged.connect((_, { type, newValue, oldValue }) => {
    const path = serverPath(contents, newValue?.path ?? oldValue?.path ?? '');
    if (path !== null) {
      store.touched(path);
    }
    if (type === 'rename') {
      goToDocument();
    }
  });
  void app.restored.then(() => (contextOf(app.shell.currentWidget) ? goToDocument() : go(browser?.model.path)));
}
