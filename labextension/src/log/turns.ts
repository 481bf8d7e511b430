/**
 * Logs that are followed at once. A browser opens six connections to a server over HTTP/1.1, for JupyterLab and for
 * us; a log that is followed holds one.
 */

const MOST = 3;

export class Turns {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(most: number) {
    this.free = most;
  }

  /** Wait for a turn, or until `signal` fires; gives what ends it. */
  async take(signal: AbortSignal): Promise<() => void> {
    if (this.free > 0) {
      this.free -= 1;
      return this.once();
    }
    return new Promise(resolve => {
      const next = (): void => {
        signal.removeEventListener('abort', gone);
        resolve(this.once());
      };
      const gone = (): void => {
        this.waiting.splice(this.waiting.indexOf(next), 1);
        resolve(() => undefined);
      };
      this.waiting.push(next);
      signal.addEventListener('abort', gone, { once: true });
    });
  }

  private once(): () => void {
    let given = false;
    return () => {
      if (given) {
        return;
      }
      given = true;
      const next = this.waiting.shift();
      if (next) {
        next();
      } else {
        this.free += 1;
      }
    };
  }
}

export const turns = new Turns(MOST);
