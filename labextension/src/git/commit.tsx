/** The box in which a commit is written. */

import * as React from 'react';
import type { Words } from '../words';
import { hindrance } from './model';
import type { GitState } from './model';
import { hindranceWords } from './words';

export interface CommitBoxProps {
  readonly state: GitState;
  readonly trans: Words;
  /** What was written before. */
  readonly draft: string;
  readonly write: (message: string) => void;
  /** Commit with this message; whether it was done. */
  readonly commit: (message: string) => Promise<boolean>;
  /** Whether notebooks go in without their outputs. */
  readonly strips: boolean;
  readonly setStrips: (strips: boolean) => void;
}

export const COMMIT_BOX = 'mlmagics-git-message';

export function CommitBox(props: CommitBoxProps): JSX.Element {
  const { state, trans } = props;
  const [message, setMessage] = React.useState(props.draft);
  const write = (text: string): void => {
    setMessage(text);
    props.write(text);
  };
  const why = hindrance(state, message);
  const hint = React.useId();
  const files = state.status?.files ?? [];
  const hasNotebook = files.some(file => file.kind === 'staged' && file.path.endsWith('.ipynb') && file.index !== 'D');
  const count = state.status?.counts.staged ?? 0;
  const words = message.trim() ? hindranceWords(why, trans) : '';
  return (
    <form
      className="mlmagics-git-commit"
      aria-label={trans.__('Commit')}
      onSubmit={event => {
        event.preventDefault();
        if (!why) {
          void props.commit(message).then(isDone => isDone && write(''));
        }
      }}
    >
      <textarea
        className={`jp-mod-styled ${COMMIT_BOX}`}
        aria-label={trans.__('Commit message')}
        aria-describedby={hint}
        placeholder={trans.__('Commit message (Ctrl+Enter)')}
        rows={2}
        value={message}
        onChange={event => write(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            event.stopPropagation();
            event.currentTarget.form?.requestSubmit();
          }
        }}
      />
      {hasNotebook && (
        <label className="mlmagics-git-strip">
          <input type="checkbox" checked={props.strips} onChange={event => props.setStrips(event.target.checked)} />
          {trans.__('Commit notebooks without outputs')}
        </label>
      )}
      <div id={hint} role="status" className="mlmagics-git-hint">
        {words}
      </div>
      <button type="submit" className="jp-Button mlmagics-button mlmagics-git-main" disabled={why !== ''}>
        {count ? trans._n('Commit %1 file', 'Commit %1 files', count) : trans.__('Commit')}
      </button>
    </form>
  );
}
