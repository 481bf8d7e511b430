/** What the agent's own pages are made of, and the sidebar too: one reading of logs, one way to draw them. */

export { Agent, Refused } from '../../src/cluster_agent/server/static/api.js';
export { progressBar } from '../../src/cluster_agent/server/static/bar.js';
export { Chart } from '../../src/cluster_agent/server/static/chart.js';
export { grouped } from '../../src/cluster_agent/server/static/charts.js';
export { tidy } from '../../src/cluster_agent/server/static/events.js';
export { Figures } from '../../src/cluster_agent/server/static/figures.js';
export { clock, duration, size } from '../../src/cluster_agent/server/static/format.js';
export { drawImage, imageBlob, IMAGES } from '../../src/cluster_agent/server/static/image.js';
export { Learner } from '../../src/cluster_agent/server/static/learner.js';
export { LogView, SHOWN } from '../../src/cluster_agent/server/static/logview.js';
export { scan } from '../../src/cluster_agent/server/static/scan.js';
export { Search } from '../../src/cluster_agent/server/static/search.js';
export { oneLine } from '../../src/cluster_agent/server/static/terminal.js';
