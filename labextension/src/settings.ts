/** What a person has set. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';

export interface Settings {
  /** Whether the status bar tells how many jobs run and wait. */
  showStatus: boolean;
  /** Whether a notification tells that a job has ended. */
  notifyEnd: boolean;
}

/** The settings as they are now and will be; the defaults until they are read. */
export function followSettings(registry: ISettingRegistry | null, id: string): Readonly<Settings> {
  const known: Settings = { showStatus: true, notifyEnd: true };
  const take = (settings: ISettingRegistry.ISettings): void => {
    known.showStatus = settings.get('showStatus').composite !== false;
    known.notifyEnd = settings.get('notifyEnd').composite !== false;
  };
  void registry?.load(id).then(settings => {
    take(settings);
    settings.changed.connect(take);
  });
  return known;
}
