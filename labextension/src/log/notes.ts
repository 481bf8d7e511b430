/** Events that stand in the log as a sentence. Pure. */

import { oneLine, size } from '../page';
import type { Words } from '../words';

export interface Note {
  readonly text: string;
  readonly isWarning: boolean;
}

/** What `event` says in the log; null for one that says nothing there. */
export function noteOf(event: any, trans: Words): Note | null {
  switch (event.type) {
    case 'preparing':
      return event.message ? { text: oneLine(event.message), isWarning: false } : null;
    case 'cancel': {
      const by = oneLine(event.by);
      const why = oneLine(event.reason);
      const said = by ? trans.__('Cancel asked by %1', by) : trans.__('Cancel asked');
      return { text: why ? `${said}: ${why}` : said, isWarning: false };
    }
    case 'dropped': {
      const known = oneLine(event.message);
      const said = trans.__('%1 of %2 are not in the log: it has reached its limit.', size(event.count), event.stream || 'output');
      return { text: known || said, isWarning: true };
    }
    case 'storage':
      return { text: oneLine(event.message), isWarning: true };
    case 'damaged':
      return { text: trans.__('A line of the log could not be read.'), isWarning: true };
    case 'recovered':
      return { text: trans.__('The box was restarted here; lines that were not on disk are lost.'), isWarning: true };
    default:
      return null;
  }
}
