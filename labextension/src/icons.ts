/** Icons in the colours of the theme. */

import { LabIcon } from '@jupyterlab/ui-components';

const svg = (shapes: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">${shapes}</g></svg>`;

/** An icon of 24 by 24 from shapes. */
export const iconOf = (name: string, shapes: string): LabIcon =>
  new LabIcon({ name: `mlmagics-lab:${name}`, svgstr: svg(shapes) });

/** Two boxes of a rack, the lower one at work. */
export const panelIcon = iconOf(
  'panel',
  '<path fill-rule="evenodd" d="M4 3h16a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zm1 2v4h14V5zm2 1.2h3v1.6H7z"/>' +
    '<path fill-rule="evenodd" d="M4 13h16a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1zm3 2v4l4-2zm6 1.2v1.6h4v-1.6z"/>'
);

/** Two people. */
export const everybodyIcon = iconOf(
  'everybody',
  '<path d="M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zm0 2c-3.3 0-7 1.6-7 4.5V20h14v-2.5C16 14.6 12.3 13 9 13zm7-2a3 3 0 1 0-1.2-5.75 5.2 5.2 0 0 1 0 5.5A3 3 0 0 0 16 11zm1.3 2.3c.9 1 1.7 2.3 1.7 4.2V20h3v-2.5c0-2.2-2.2-3.7-4.7-4.2z"/>'
);
