/** What the panel says above its sections when something is not as it should be. */

import * as React from 'react';
import type { State } from './model';
import type { Words } from './words';
import { Empty } from './widgets';

export function Notice(props: {
  readonly state: State;
  readonly trans: Words;
  readonly version: string;
  readonly again: () => void;
}): JSX.Element {
  const { state, trans } = props;
  const said = problem(state, trans) || mismatch(state, props.version, trans);
  return (
    <div role="status">
      {said && (
        <div className="mlmagics-notice">
          <Empty action={{ label: trans.__('Try again'), act: props.again }}>{said}</Empty>
        </div>
      )}
    </div>
  );
}

function problem(state: State, trans: Words): string {
  switch (state.phase) {
    case 'missing':
      return trans.__(
        'This Jupyter server has no part of mlmagics. Install it where the server runs, pip install "mlmagics[lab]", then start the server anew.'
      );
    case 'offline':
      return trans.__('The Jupyter server does not answer. Jobs go on without it; this list is as it was last known.');
    case 'refused':
      return state.problem;
    default:
      return '';
  }
}

function mismatch(state: State, version: string, trans: Words): string {
  return state.otherVersion
    ? trans.__(
        'The server has mlmagics %1, this page %2. Restart the Jupyter server, then reload this page.',
        state.otherVersion,
        version
      )
    : '';
}
