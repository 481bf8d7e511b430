/**
 * The card below a cell. While its kernel lives the kernel draws it, and what it drew is shown. When nothing comes
 * from there any more, after a reload or with a dead kernel, the card is drawn from what the cluster says; where that
 * is not known it stays as it was saved.
 */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { Panel } from '@lumino/widgets';
import { isActive } from '../model';
import type { Store } from '../store';
import type { JobView } from '../types';
import { LiveCard } from './live';
import type { LiveOptions } from './live';
import { SILENCE_S, isSilent, readCard } from './saved';
import type { SavedCard } from './saved';

export const MIME = 'application/vnd.mlmagics.job+json';

export interface CardOptions extends LiveOptions {
  readonly rendermime: IRenderMimeRegistry;
}

/** Before `text/html` and all else that a card holds. */
export const RANK = 1;

export function cardFactory(options: CardOptions): IRenderMime.IRendererFactory {
  return {
    safe: true,
    mimeTypes: [MIME],
    defaultRank: RANK,
    createRenderer: () => new CardRenderer(options)
  };
}

class CardRenderer extends Panel implements IRenderMime.IRenderer {
  private saved: IRenderMime.IRenderer | null = null;
  private live: LiveCard | null = null;
  private card: SavedCard | null = null;
  private renders = 0;
  private timer = 0;

  constructor(private readonly options: CardOptions) {
    super();
    this.addClass('mlmagics-card-output');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.renders += 1;
    window.clearTimeout(this.timer);
    this.card = readCard(model.data[MIME]);
    await this.showSaved(model);
    if (this.isDisposed || !this.card) {
      return;
    }
    this.options.store.noticed(this.card.cluster, this.card.job_id);
    if (!this.card.active) {
      this.dropLive();
      return;
    }
    if (this.renders === 1 && isSilent(this.card, Date.now() / 1000)) {
      void this.revive();
    } else {
      // a kernel that lives says so more often than that
      this.dropLive();
      this.timer = window.setTimeout(() => void this.revive(), 1000 * SILENCE_S);
    }
  }

  override dispose(): void {
    window.clearTimeout(this.timer);
    super.dispose();
  }

  private async showSaved(model: IRenderMime.IMimeModel): Promise<void> {
    const { rendermime } = this.options;
    const mime = ['text/html', 'text/plain'].find(one => one in model.data);
    if (!mime) {
      return;
    }
    if (this.saved === null) {
      this.saved = rendermime.createRenderer(mime);
      this.addWidget(this.saved);
    }
    await this.saved.renderModel(model);
  }

  /** Draw the job from what its cluster says, if it knows it. */
  private async revive(): Promise<void> {
    const { card } = this;
    const renders = this.renders;
    if (!card || this.live || this.isDisposed) {
      return;
    }
    const job = await known(this.options.store, card);
    if (!job || renders !== this.renders || this.isDisposed) {
      return;
    }
    const live = new LiveCard(job, this.options);
    this.live = live;
    live.whenDrawn = () => {
      if (this.live === live) {
        live.show();
        this.saved?.hide();
      }
    };
    // what was saved stays in sight until there is something better
    live.hide();
    this.addWidget(live);
  }

  private dropLive(): void {
    this.live?.dispose();
    this.live = null;
    this.saved?.show();
  }
}

/** The job of a card; null when its cluster is not attached, is another one now, or cannot be asked. */
async function known(store: Store, card: SavedCard): Promise<JobView | null> {
  try {
    const job = await store.api.job(card.cluster, card.job_id);
    return job.agent_id === card.agent_id && (card.active || isActive(job)) ? job : null;
  } catch {
    return null;
  }
}
