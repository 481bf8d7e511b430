/** The changed files, by what is staged and what is not. */

import { addIcon, checkIcon, undoIcon } from '@jupyterlab/ui-components';
import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { oneLine } from '../page';
import type { Words } from '../words';
import { Grid } from './grid';
import { minusIcon } from './icons';
import { deedsOf, groups, keyOf, letterOf, nameAndFolder } from './model';
import type { Deed, Group } from './model';
import type { FileChange, Kind, Status } from './types';
import { fileWords, groupName } from './words';

export interface ChangesProps {
  readonly status: Status;
  readonly trans: Words;
  readonly isBusy: boolean;
  readonly open: (file: FileChange) => void;
  readonly act: (deed: Deed, file: FileChange) => void;
  /** Stage or unstage all of a kind. */
  readonly all: (kind: Kind) => void;
}

/** Of more rows than that nobody reads the rest. */
const MOST_ROWS = 500;

export function Changes(props: ChangesProps): JSX.Element {
  const { status, trans } = props;
  return (
    <>
      <Grid label={trans.__('Changed files')}>
        {groups(status).map(group => (
          <Rows key={group.kind} group={group} {...props} />
        ))}
      </Grid>
      {status.truncated > 0 && (
        <p className="mlmagics-trouble">
          {trans.__('What belongs to no repository, such as data, is better named in a .gitignore file.')}
        </p>
      )}
    </>
  );
}

function Rows(props: ChangesProps & { readonly group: Group }): JSX.Element {
  const { group, trans, isBusy } = props;
  const name = groupName(group.kind, trans);
  const shown = group.files.slice(0, MOST_ROWS);
  const hidden = group.count - shown.length;
  return (
    <div role="rowgroup" aria-label={name}>
      <div role="row" className="mlmagics-group mlmagics-git-line">
        <span role="rowheader">
          {name} <span className="mlmagics-count">{group.count}</span>
        </span>
        {group.kind !== 'conflict' && (
          <span role="gridcell" className="mlmagics-git-deeds">
            <IconButton
              icon={group.kind === 'staged' ? minusIcon : addIcon}
              label={allWords(group.kind, trans)}
              isOff={isBusy}
              act={() => props.all(group.kind)}
            />
          </span>
        )}
      </div>
      {shown.map(file => (
        <Row key={keyOf(file)} file={file} {...props} />
      ))}
      {hidden > 0 && <p className="mlmagics-trouble">{trans._n('%1 more file is not listed.', '%1 more files are not listed.', hidden)}</p>}
    </div>
  );
}

function allWords(kind: Kind, trans: Words): string {
  return {
    conflict: '',
    staged: trans.__('Unstage all files'),
    unstaged: trans.__('Stage all changed files'),
    untracked: trans.__('Stage all files that are not in git yet')
  }[kind];
}

function Row(props: ChangesProps & { readonly file: FileChange }): JSX.Element {
  const { file, trans, isBusy } = props;
  const { name, folder } = nameAndFolder(file.path);
  const told = fileWords(file, trans);
  const letter = letterOf(file);
  return (
    <div role="row" className="mlmagics-row mlmagics-git-line mlmagics-change" data-key={keyOf(file)} data-kind={file.kind}>
      <span role="gridcell" className="mlmagics-git-cell">
        <button type="button" className="mlmagics-git-file" aria-label={told} title={told} onClick={() => props.open(file)}>
          <span className="mlmagics-git-letter" data-letter={letter}>
            {letter}
          </span>
          <span className="mlmagics-name">{oneLine(name)}</span>
          <span className="mlmagics-git-folder">{file.outputs_only ? trans.__('outputs only') : oneLine(folder)}</span>
        </button>
      </span>
      <span role="gridcell" className="mlmagics-git-deeds">
        {deedsOf(file).map(deed => (
          <DeedButton key={deed} deed={deed} name={oneLine(file.path)} trans={trans} isOff={isBusy} act={() => props.act(deed, file)} />
        ))}
      </span>
    </div>
  );
}

function DeedButton(props: {
  readonly deed: Deed;
  readonly name: string;
  readonly trans: Words;
  readonly isOff: boolean;
  readonly act: () => void;
}): JSX.Element {
  const { trans, name, isOff, act } = props;
  switch (props.deed) {
    case 'stage':
      return <IconButton icon={addIcon} label={trans.__('Stage %1', name)} isOff={isOff} act={act} />;
    case 'unstage':
      return <IconButton icon={minusIcon} label={trans.__('Unstage %1', name)} isOff={isOff} act={act} />;
    case 'discard':
      return <IconButton icon={undoIcon} label={trans.__('Discard the changes of %1', name)} isOff={isOff} act={act} />;
    case 'resolved':
      return <IconButton icon={checkIcon} label={trans.__('Mark %1 as resolved', name)} isOff={isOff} act={act} />;
    case 'mine':
      return <TextButton label={trans.__('Mine')} title={trans.__('Take my side of %1', name)} isOff={isOff} act={act} />;
    case 'theirs':
      return <TextButton label={trans.__('Theirs')} title={trans.__('Take their side of %1', name)} isOff={isOff} act={act} />;
  }
}

interface ButtonProps {
  readonly label: string;
  readonly isOff: boolean;
  readonly act: () => void;
}

function IconButton({ icon, label, isOff, act }: ButtonProps & { readonly icon: LabIcon }): JSX.Element {
  return (
    <button type="button" className="mlmagics-git-icon" aria-label={label} title={label} aria-disabled={isOff} onClick={isOff ? undefined : act}>
      <icon.react tag="span" width="14px" height="14px" />
    </button>
  );
}

function TextButton({ label, title, isOff, act }: ButtonProps & { readonly title: string }): JSX.Element {
  return (
    <button type="button" className="mlmagics-git-side" aria-label={title} title={title} aria-disabled={isOff} onClick={isOff ? undefined : act}>
      {label}
    </button>
  );
}
