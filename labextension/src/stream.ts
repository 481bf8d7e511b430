/** One WebSocket that is opened again whenever it breaks. */

/** What of a WebSocket is used. */
export interface Socket {
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  close(): void;
}

export interface StreamOptions {
  /** Makes a socket that is about to open. */
  readonly open: () => Socket;
  /** Gets each message. */
  readonly take: (message: unknown) => void;
  /** Hears that the connection is there, or has broken. */
  readonly connected: (yes: boolean) => void;
  /** Calls `act` after `ms`; what it gives cancels that. */
  readonly later: (act: () => void, ms: number) => () => void;
}

const FIRST_MS = 1000;
const MOST_MS = 30_000;

/** How long to wait after `tries` connections in a row that broke, with `chance` from 0 to 1. */
export function backOff(tries: number, chance: number): number {
  return Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(tries, 10)) * (0.5 + chance / 2);
}

export class Stream {
  private socket: Socket | null = null;
  private cancel: (() => void) | null = null;
  private tries = 0;

  constructor(private readonly options: StreamOptions) {}

  get isOn(): boolean {
    return this.socket !== null || this.cancel !== null;
  }

  /** Open it, unless it is, and keep it open. */
  start(): void {
    if (!this.isOn) {
      this.tries = 0;
      this.open();
    }
  }

  /** Close it until it is started again. */
  stop(): void {
    this.cancel?.();
    this.cancel = null;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private open(): void {
    const socket = this.options.open();
    this.socket = socket;
    let isOpen = false;
    socket.onopen = () => {
      if (this.socket === socket) {
        isOpen = true;
        this.tries = 0;
        this.options.connected(true);
      }
    };
    socket.onmessage = ({ data }: { data: unknown }) => {
      const message = this.socket === socket ? parsed(data) : undefined;
      if (message !== undefined) {
        this.options.take(message);
      }
    };
    socket.onclose = () => {
      if (this.socket !== socket) {
        return;
      }
      this.socket = null;
      this.options.connected(false);
      const wait = backOff(this.tries, Math.random());
      this.tries = isOpen ? 0 : this.tries + 1;
      this.cancel = this.options.later(() => {
        this.cancel = null;
        this.open();
      }, wait);
    };
  }
}

function parsed(data: unknown): unknown {
  try {
    return typeof data === 'string' ? JSON.parse(data) : undefined;
  } catch {
    return undefined;
  }
}
