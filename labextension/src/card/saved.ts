/** What a notebook keeps of a card. Pure. */

export interface SavedCard {
  readonly cluster: string;
  readonly job_id: number;
  readonly agent_id: string;
  /** Whether the job had not ended when the card was drawn. */
  readonly active: boolean;
  /** When it was drawn, Unix seconds. */
  readonly as_of: number;
}

/** Without a new one for so long, nobody draws a card any more: agents and kernels give a sign each 10 s. */
export const SILENCE_S = 20;
/** A card that is older than this when it is first seen was not drawn by a kernel just now. */
const FRESH_S = 5;

const ACTIVE = ['queued', 'preparing', 'running'];

/** The card in what stands in a notebook; null when it is none. */
export function readCard(data: unknown): SavedCard | null {
  if (typeof data !== 'object' || data === null) {
    return null;
  }
  const { cluster, job_id, agent_id, state, as_of } = data as Record<string, unknown>;
  if (typeof cluster !== 'string' || typeof agent_id !== 'string' || !Number.isSafeInteger(job_id)) {
    return null;
  }
  return {
    cluster,
    job_id: job_id as number,
    agent_id,
    active: ACTIVE.includes(state as string),
    as_of: typeof as_of === 'number' ? as_of : 0
  };
}

/** Whether a card that is seen for the first time was left behind by a kernel or a page that is gone. */
export const isSilent = (card: SavedCard, now: number): boolean => now - card.as_of > FRESH_S;
