/** Progress in a piece of a log. Pure. */

import { Figures, tidy } from '../page';

/** The percents that the events in `text`, lines of a log, tell last; null when they tell none. */
export function percentIn(text: string): number | null {
  const figures = new Figures();
  for (const line of text.split('\n').filter(Boolean)) {
    try {
      figures.take(tidy(JSON.parse(line)));
    } catch {
      // a line that is still being written
    }
  }
  const { progress } = figures;
  return progress === null || progress.fraction === null ? null : progress.percent;
}
