/** Icons of the git section, in the colours of the theme. */

import { iconOf } from '../icons';

/** An arrow that ends on a line. */
export const pullIcon = iconOf('git-pull', '<path d="M11 3h2v10.2l3.6-3.6L18 11l-6 6-6-6 1.4-1.4 3.6 3.6zM5 19h14v2H5z"/>');

/** An arrow that leaves a line. */
export const pushIcon = iconOf('git-push', '<path d="M11 17h2V6.8l3.6 3.6L18 9l-6-6-6 6 1.4 1.4L11 6.8zM5 19h14v2H5z"/>');

/** A line that parts from another. */
export const branchIcon = iconOf(
  'git-branch',
  '<path fill-rule="evenodd" d="M6 2a3 3 0 0 1 1 5.83v8.34A3 3 0 1 1 5 16.17V7.83A3 3 0 0 1 6 2zm0 2a1 1 0 1 0 0 2 1 1 0 0 0 0-2zm0 14a1 1 0 1 0 0 2 1 1 0 0 0 0-2z"/>' +
    '<path fill-rule="evenodd" d="M18 4a3 3 0 0 1 1 5.83V11a4 4 0 0 1-4 4H9v-2h6a2 2 0 0 0 2-2V9.83A3 3 0 0 1 18 4zm0 2a1 1 0 1 0 0 2 1 1 0 0 0 0-2z"/>'
);

export const minusIcon = iconOf('git-minus', '<path d="M5 11h14v2H5z"/>');

/** An arrow down out of a cloud. */
export const fetchIcon = iconOf(
  'git-fetch',
  '<path d="M19.4 9.6A7 7 0 0 0 6 7.7 5.5 5.5 0 0 0 6.5 18H8v-2H6.5a3.5 3.5 0 0 1-.2-7l1-.1.4-.9a5 5 0 0 1 9.7 1.2l.1 1.3 1.5.1a2.7 2.7 0 0 1-.1 5.4H16v2h2.9a4.7 4.7 0 0 0 .5-8.4zM11 10h2v7.2l2-2 1.4 1.4L12 21l-4.4-4.4L9 15.2l2 2z"/>'
);
