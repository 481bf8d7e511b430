/** What a person has set. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';

const DEFAULTS = {
  /** Whether the status bar tells how many jobs run and wait. */
  showStatus: true,
  /** Whether a notification tells that a job has ended. */
  notifyEnd: true,
  /** Whether the panel has a section of git. */
  showGit: true,
  /** Whether the status bar tells the branch. */
  showBranch: true,
  /** Whether notebooks are committed without their outputs. */
  gitStripOutputs: false,
  /** Whether the remote is asked for news while the section can be seen. */
  gitFetch: true,
  gitFetchMinutes: 5,
  /** What a pull does when both sides have gone on. */
  gitPull: 'ask' as 'ask' | 'rebase' | 'merge'
};

export type Settings = typeof DEFAULTS;

/** The settings as they are now and will be; the defaults until they are read. */
export class Known {
  readonly now: Settings = { ...DEFAULTS };
  private readonly _changed = new Signal<this, void>(this);
  private settings: ISettingRegistry.ISettings | null = null;

  constructor(registry: ISettingRegistry | null, id: string) {
    void registry?.load(id).then(settings => {
      this.settings = settings;
      this.take();
      settings.changed.connect(this.take, this);
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Change a setting for good. */
  async set<K extends keyof Settings>(name: K, value: Settings[K]): Promise<void> {
    this.now[name] = value;
    this._changed.emit();
    await this.settings?.set(name, value);
  }

  private take(): void {
    // the registry has compared them with the schema
    const given = this.settings?.composite as Partial<Settings>;
    for (const name of Object.keys(DEFAULTS) as (keyof Settings)[]) {
      Object.assign(this.now, { [name]: given[name] ?? DEFAULTS[name] });
    }
    this._changed.emit();
  }
}
