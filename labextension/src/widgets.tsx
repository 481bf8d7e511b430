/** Pieces that the sections of the panel share. */

import { ReactWidget } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

/** A section that is drawn anew with each state that `changed` tells, while it is shown. */
export class Section<T> extends ReactWidget {
  constructor(
    private readonly changed: ISignal<unknown, T>,
    private readonly draw: () => JSX.Element
  ) {
    super();
    this.addClass('mlmagics-section');
    this.changed.connect(this.redraw, this);
  }

  override dispose(): void {
    this.changed.disconnect(this.redraw, this);
    super.dispose();
  }

  protected override render(): JSX.Element {
    return this.draw();
  }

  private redraw(): void {
    if (this.isVisible) {
      this.update();
    }
  }
}

/** What stands where there is nothing to list: a sentence, and what to do next. */
export function Empty(props: { readonly children: React.ReactNode; readonly action?: Action }): JSX.Element {
  return (
    <div className="mlmagics-empty">
      <p>{props.children}</p>
      {props.action && (
        <button type="button" className="jp-Button mlmagics-button" onClick={props.action.act}>
          {props.action.label}
        </button>
      )}
    </div>
  );
}

export interface Action {
  readonly label: string;
  readonly act: () => void;
}

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };

/**
 * A list of which one option has the focus: the arrow keys, Home and End move it, Enter and Space open.
 * `open` gets the option's `data-key`.
 */
export function Options(props: {
  readonly label: string;
  readonly open: (key: string) => void;
  readonly children: React.ReactNode;
}): JSX.Element {
  const list = React.useRef<HTMLDivElement>(null);
  const [current, setCurrent] = React.useState('');

  const options = (): HTMLElement[] => [...(list.current?.querySelectorAll<HTMLElement>('[role=option]') ?? [])];

  // exactly one option can be reached by Tab, whatever comes and goes
  React.useEffect(() => {
    const all = options();
    const chosen = all.find(option => option.dataset.key === current) ?? all[0];
    for (const option of all) {
      option.tabIndex = option === chosen ? 0 : -1;
      option.setAttribute('aria-selected', String(option === chosen && option.dataset.key === current));
    }
  });

  const onKeyDown = (event: React.KeyboardEvent): void => {
    const all = options();
    const at = all.indexOf(document.activeElement as HTMLElement);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? all.length - 1 : at + (STEPS[event.key] ?? 0);
    if (event.key === 'Enter' || event.key === ' ') {
      props.open(all[at].dataset.key ?? '');
    } else if (to !== at || event.key in STEPS) {
      all[Math.min(all.length - 1, Math.max(0, to))].focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const chosen = (event: React.SyntheticEvent): string =>
    (event.target as HTMLElement).closest<HTMLElement>('[role=option]')?.dataset.key ?? '';

  return (
    <div
      ref={list}
      role="listbox"
      aria-label={props.label}
      className="mlmagics-list"
      onKeyDown={onKeyDown}
      onFocus={event => setCurrent(chosen(event))}
      onClick={event => chosen(event) && props.open(chosen(event))}
    >
      {props.children}
    </div>
  );
}
