/** The item in the status bar: how many of one's own jobs run and wait. */

import { GroupItem, TextItem } from '@jupyterlab/statusbar';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import { counts } from './model';
import type { Store } from './store';
import { summary } from './words';
import type { Words } from './words';

/** What it says now; empty when there is nothing to say. */
export function said(store: Store, trans: Words): string {
  const { running, queued } = counts(store.state);
  return summary(running, queued, trans);
}

export function statusItem(store: Store, trans: Words, open: () => void): ReactWidget {
  const item = ReactWidget.create(
    <UseSignal signal={store.changed}>
      {() => {
        const text = said(store, trans);
        return text ? (
          <GroupItem
            spacing={4}
            role="button"
            tabIndex={0}
            className="mlmagics-status"
            aria-label={trans.__('Your jobs: %1. Open the panel.', text)}
            title={trans.__('Your jobs: %1. Open the panel.', text)}
            onClick={open}
            onKeyDown={event => {
              if (event.key === 'Enter' || event.key === ' ') {
                event.preventDefault();
                open();
              }
            }}
          >
            <TextItem source={text} />
          </GroupItem>
        ) : (
          <></>
        );
      }}
    </UseSignal>
  );
  item.addClass('jp-mod-highlighted');
  return item;
}
