/** The body of a question. */

import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { Words } from '../words';
import { listed } from './words';

/** A body of sentences and of names, each on a line of its own. */
export function body(sentences: readonly string[], names: readonly string[], trans: Words): ReactWidget {
  const made = ReactWidget.create(
    <>
      {names.length > 0 && <p className="mlmagics-git-names">{listed(names, trans)}</p>}
      {sentences.filter(Boolean).map(sentence => (
        <p key={sentence}>{sentence}</p>
      ))}
    </>
  );
  made.addClass('mlmagics-git-asking');
  return made;
}
