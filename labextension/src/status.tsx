/** Items of the status bar: a short text that opens the panel. */

import { GroupItem, TextItem } from '@jupyterlab/statusbar';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import * as React from 'react';
import { counts } from './model';
import type { Store } from './store';
import { summary } from './words';
import type { Words } from './words';

export interface Item {
  /** Tells that the text may be another. */
  readonly changed: ISignal<unknown, unknown>;
  /** What it says now; empty when there is nothing to say. */
  readonly text: () => string;
  /** The same as a whole sentence. */
  readonly sentence: () => string;
  readonly open: () => void;
}

/** How many of one's own jobs run and wait. */
export function jobsItem(store: Store, trans: Words, open: () => void): Item {
  const text = (): string => {
    const { running, queued } = counts(store.state);
    return summary(running, queued, trans);
  };
  return { changed: store.changed, text, sentence: () => trans.__('Your jobs: %1. Open the panel.', text()), open };
}

export function statusItem({ changed, text, sentence, open }: Item): ReactWidget {
  const item = ReactWidget.create(
    <UseSignal signal={changed}>
      {() =>
        text() ? (
          <GroupItem
            spacing={4}
            role="button"
            tabIndex={0}
            className="mlmagics-status"
            aria-label={sentence()}
            title={sentence()}
            onClick={open}
            onKeyDown={event => {
              if (event.key === 'Enter' || event.key === ' ') {
                event.preventDefault();
                open();
              }
            }}
          >
            <TextItem source={text()} />
          </GroupItem>
        ) : (
          <></>
        )
      }
    </UseSignal>
  );
  item.addClass('jp-mod-highlighted');
  return item;
}
