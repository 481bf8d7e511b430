/** How a comparison is drawn: added and removed lines have a sign and a colour. Text only. */

import * as React from 'react';
import { oneLine, size } from '../page';
import type { Words } from '../words';
import type { CellDiff, Diff, DiffLine, FileChange, NotebookDiff, TextDiff } from './types';
import { fileWords } from './words';

export function DiffView({ diff, file, trans }: { readonly diff: Diff; readonly file: FileChange; readonly trans: Words }): JSX.Element {
  return (
    <>
      <h2 className="mlmagics-git-title">{fileWords(file, trans)}</h2>
      <p className="mlmagics-quiet">{sides(file, trans)}</p>
      <Compared diff={diff} trans={trans} />
    </>
  );
}

/** What is compared with what. */
function sides(file: FileChange, trans: Words): string {
  return {
    staged: trans.__('What is staged, compared with the last commit'),
    unstaged: trans.__('The file as it is saved, compared with what is staged or committed'),
    untracked: trans.__('The whole file: git does not know it yet'),
    conflict: trans.__('The file as it is saved, compared with your side')
  }[file.kind];
}

function Compared({ diff, trans }: { readonly diff: Diff; readonly trans: Words }): JSX.Element {
  switch (diff.kind) {
    case 'text':
      return <TextView diff={diff} trans={trans} />;
    case 'notebook':
      return <NotebookView diff={diff} trans={trans} />;
    case 'submodule':
      return (
        <p className="mlmagics-quiet">
          {trans.__('A repository of its own: %1, before %2.', diff.commits[1]?.slice(0, 7) ?? trans.__('nothing'), diff.commits[0]?.slice(0, 7) ?? trans.__('nothing'))}
        </p>
      );
    default:
      return (
        <p className="mlmagics-quiet">
          {diff.kind === 'binary' ? trans.__('This is no text.') : trans.__('This is too large to be compared here.')} {sizes(diff.sizes, trans)}
        </p>
      );
  }
}

function sizes([old, now]: readonly [number | null, number | null], trans: Words): string {
  if (old === null || now === null) {
    return old === null ? trans.__('New: %1.', size(now ?? 0)) : trans.__('Deleted: %1.', size(old));
  }
  return trans.__('Before %1, now %2.', size(old), size(now));
}

function TextView({ diff, trans }: { readonly diff: TextDiff; readonly trans: Words }): JSX.Element {
  const isMode = diff.old_mode && diff.new_mode && diff.old_mode !== diff.new_mode;
  return (
    <>
      {diff.note && <p className="mlmagics-quiet">{oneLine(diff.note)}</p>}
      {isMode && <p className="mlmagics-quiet">{trans.__('Mode %1, before %2.', oneLine(diff.new_mode), oneLine(diff.old_mode))}</p>}
      {!diff.hunks.length && !isMode && <p className="mlmagics-quiet">{trans.__('No line differs.')}</p>}
      {diff.hunks.map((hunk, at) => (
        <section key={at} className="mlmagics-git-hunk">
          <h3 className="mlmagics-git-where">{oneLine(hunk.header)}</h3>
          <Lines lines={hunk.lines} trans={trans} />
        </section>
      ))}
      {diff.truncated && <Cut trans={trans} />}
    </>
  );
}

function NotebookView({ diff, trans }: { readonly diff: NotebookDiff; readonly trans: Words }): JSX.Element {
  return (
    <>
      {!diff.cells.some(cell => cell.change !== 'same') && !diff.metadata.length && <p className="mlmagics-quiet">{trans.__('No cell differs.')}</p>}
      {diff.cells.map((cell, at) => (cell.change === 'same' ? <Same key={at} count={cell.count ?? 1} trans={trans} /> : <Cell key={at} cell={cell} trans={trans} />))}
      {diff.metadata.length > 0 && (
        <section className="mlmagics-git-hunk">
          <h3 className="mlmagics-git-where">{trans.__('Metadata of the notebook')}</h3>
          <Lines lines={diff.metadata} trans={trans} />
        </section>
      )}
      {diff.truncated && <Cut trans={trans} />}
    </>
  );
}

function Same({ count, trans }: { readonly count: number; readonly trans: Words }): JSX.Element {
  return <p className="mlmagics-quiet">{trans._n('%1 cell is the same', '%1 cells are the same', count)}</p>;
}

function Cell({ cell, trans }: { readonly cell: CellDiff; readonly trans: Words }): JSX.Element {
  const source = cell.source ?? [];
  const outputs = cell.output_lines ?? [];
  return (
    <section className="mlmagics-git-hunk mlmagics-git-diffcell" data-change={cell.change}>
      <h3 className="mlmagics-git-where">{cellWords(cell, trans)}</h3>
      {source.length > 0 && <Lines lines={source} trans={trans} />}
      {cell.outputs && <p className="mlmagics-quiet">{oneLine(cell.outputs)}</p>}
      {outputs.length > 0 && <Lines lines={outputs} trans={trans} />}
      {cell.metadata && cell.change === 'changed' && <p className="mlmagics-quiet">{trans.__('Its metadata differ.')}</p>}
    </section>
  );
}

function cellWords(cell: CellDiff, trans: Words): string {
  const type = { code: trans.__('code'), markdown: trans.__('Markdown'), raw: trans.__('raw') }[cell.type ?? 'code'];
  const now = cell.number_new ?? 0;
  const old = cell.number_old ?? 0;
  switch (cell.change) {
    case 'added':
      return trans.__('Cell %1, %2: new', now, type);
    case 'removed':
      return trans.__('Cell %1, %2: deleted', old, type);
    default:
      return now === old ? trans.__('Cell %1, %2: changed', now, type) : trans.__('Cell %1, %2: changed; before it was cell %3', now, type, old);
  }
}

function Cut({ trans }: { readonly trans: Words }): JSX.Element {
  return <p className="mlmagics-quiet">{trans.__('The rest is left out: it is too long to be compared here.')}</p>;
}

const SIGNS = { '+': 'added', '-': 'removed', ' ': 'same' } as const;

function Lines({ lines, trans }: { readonly lines: readonly DiffLine[]; readonly trans: Words }): JSX.Element {
  return (
    <table className="mlmagics-git-lines">
      <tbody>
        {lines.map((line, at) => (
          <tr key={at} className={SIGNS[line.sign]}>
            <td className="number">{line.old}</td>
            <td className="number">{line.new}</td>
            <td className="sign">{line.sign}</td>
            <td className="text">
              {visible(line.text)}
              {line.cut && <span className="mark"> {trans.__('(cut)')}</span>}
              {line.no_newline && <span className="mark"> {trans.__('(no end of line)')}</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Marks that turn the direction of text, and control characters, are shown and not obeyed. */
export const visible = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, mark =>
    mark === '\r' ? '␍' : `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`
  );
