/** Rows with buttons, of which one has the focus: the arrow keys, Home and End move it. */

import * as React from 'react';

const buttonsOf = (row: Element): HTMLElement[] => [...row.querySelectorAll<HTMLElement>('button')];

export function Grid(props: { readonly label: string; readonly children: React.ReactNode }): JSX.Element {
  const grid = React.useRef<HTMLDivElement>(null);
  /** Where the focus is, while it is here. */
  const place = React.useRef<Place | null>(null);
  const rows = (): HTMLElement[][] =>
    [...(grid.current?.querySelectorAll('[role=row]') ?? [])].map(buttonsOf).filter(buttons => buttons.length);

  React.useEffect(() => {
    const all = rows();
    if (place.current && all.length && document.activeElement === document.body) {
      // the row went away below the focus: that of the next one is taken
      const row = Math.min(place.current.row, all.length - 1);
      all[row][Math.min(place.current.column, all[row].length - 1)].focus();
    }
    settle(all.flat());
  });

  // exactly one button can be reached by Tab, whatever comes and goes
  const settle = (all: readonly HTMLElement[]): void => {
    const chosen = all.find(button => button === document.activeElement) ?? all.find(button => button.tabIndex === 0) ?? all[0];
    for (const button of all) {
      button.tabIndex = button === chosen ? 0 : -1;
    }
  };

  const onFocus = (event: React.FocusEvent): void => {
    const all = rows();
    const row = all.findIndex(buttons => buttons.includes(event.target as HTMLElement));
    place.current = { row, column: all[row]?.indexOf(event.target as HTMLElement) ?? 0 };
    settle(all.flat());
  };

  const onBlur = (event: React.FocusEvent): void => {
    if (!grid.current?.contains(event.relatedTarget)) {
      place.current = null;
    }
  };

  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (!place.current || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    const all = rows();
    const to = moved(event.key, place.current, all.map(buttons => buttons.length));
    if (to) {
      all[to.row][to.column].focus();
      event.preventDefault();
      event.stopPropagation();
    }
  };

  return (
    <div
      ref={grid}
      role="grid"
      aria-label={props.label}
      className="mlmagics-git-grid"
      onKeyDown={onKeyDown}
      onFocus={onFocus}
      onBlur={onBlur}
    >
      {props.children}
    </div>
  );
}

interface Place {
  readonly row: number;
  readonly column: number;
}

/** Where a key goes from `at` in rows of so many buttons; null when it is not a key that moves. */
export function moved(key: string, at: Place, widths: readonly number[]): Place | null {
  const toRow = (row: number): Place => {
    const next = Math.min(widths.length - 1, Math.max(0, row));
    return { row: next, column: Math.min(at.column, widths[next] - 1) };
  };
  switch (key) {
    case 'ArrowDown':
      return toRow(at.row + 1);
    case 'ArrowUp':
      return toRow(at.row - 1);
    case 'Home':
      return toRow(0);
    case 'End':
      return toRow(widths.length - 1);
    case 'ArrowRight':
      return { row: at.row, column: Math.min(widths[at.row] - 1, at.column + 1) };
    case 'ArrowLeft':
      return { row: at.row, column: Math.max(0, at.column - 1) };
    default:
      return null;
  }
}
