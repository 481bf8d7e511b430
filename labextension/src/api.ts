/** Calls to the Jupyter server's part of mlmagics. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { Declined, Offline } from './failures';
import type { Told } from './failures';
import { Agent } from './page';
import type { ClusterView, JobView, Trouble } from './types';

export interface NewCluster {
  readonly name: string;
  readonly url: string;
  readonly token?: string;
  readonly ca?: string;
}

const part = encodeURIComponent;

/** The routes below `mlmagics/`. */
export class Api {
  constructor(readonly settings: ServerConnection.ISettings = ServerConnection.makeSettings()) {}

  /** Address of `path`, for links and requests. */
  url(path: string): string {
    return URLExt.join(this.settings.baseUrl, 'mlmagics', path);
  }

  /** Address of the stream, with the jobs of all people or of the one who looks. */
  streamUrl(everybody: boolean): string {
    const url = `${URLExt.join(this.settings.wsUrl, 'mlmagics', 'api', 'stream')}?all=${everybody ? 1 : 0}`;
    return this.settings.token && this.settings.appendToken ? `${url}&token=${part(this.settings.token)}` : url;
  }

  /** The answer when it is a good one; else raises `Declined` or `Offline`. */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(this.url(path), { cache: 'no-store', ...init }, this.settings);
    } catch (error) {
      if (init.signal?.aborted) {
        throw error;
      }
      throw new Offline(error instanceof Error ? error.message : String(error));
    }
    if (!response.ok) {
      throw await refusal(response);
    }
    return response;
  }

  private async json<T>(path: string, init: RequestInit = {}): Promise<T> {
    return (await (await this.request(path, init)).json()) as T;
  }

  private post<T>(path: string, body: object = {}): Promise<T> {
    return this.json(path, { method: 'POST', body: JSON.stringify(body) });
  }

  version(): Promise<{ readonly version: string; readonly protocol: number }> {
    return this.json('api/version');
  }

  jobs(everybody: boolean): Promise<{ readonly jobs: JobView[]; readonly troubles: Trouble[] }> {
    return this.json(`api/jobs?all=${everybody ? 1 : 0}`);
  }

  job(cluster: string, id: number): Promise<JobView> {
    return this.json(jobPath(cluster, id));
  }

  cancel(cluster: string, id: number): Promise<JobView> {
    return this.post(`${jobPath(cluster, id)}/cancel`);
  }

  resubmit(cluster: string, id: number): Promise<JobView> {
    return this.post(`${jobPath(cluster, id)}/resubmit`);
  }

  clusters(): Promise<{ readonly clusters: ClusterView[] }> {
    return this.json('api/clusters');
  }

  addCluster(cluster: NewCluster): Promise<ClusterView> {
    return this.post('api/clusters', cluster);
  }

  async removeCluster(name: string): Promise<void> {
    await this.request(`api/clusters/${part(name)}`, { method: 'DELETE' });
  }

  /** All that the job wrote to a stream, to be saved. */
  outputUrl(cluster: string, id: number, stream: 'stdout' | 'stderr'): string {
    return this.url(`${jobPath(cluster, id)}/output/${stream}`);
  }

  /** What reads the log of a job of `cluster`. */
  agent(cluster: string): ThroughServer {
    return new ThroughServer(this, cluster);
  }
}

const jobPath = (cluster: string, id: number): string => `api/jobs/${part(cluster)}/${id}`;

/** An agent as the Jupyter server passes it on. */
export class ThroughServer extends Agent {
  private readonly api: Api;
  private readonly cluster: string;

  constructor(api: Api, cluster: string) {
    super('');
    this.api = api;
    this.cluster = cluster;
  }

  override async request(path: string, { signal }: { signal?: AbortSignal } = {}): Promise<Response> {
    const response = await this.api.request(path.replace(/^jobs\//, `api/jobs/${part(this.cluster)}/`), { signal });
    const date = Date.parse(response.headers.get('Date') ?? '');
    // the header counts whole seconds: a smaller difference says nothing
    if (Math.abs(date - Date.now()) > 2000) {
      this.skew = (date - Date.now()) / 1000;
    }
    return response;
  }
}

async function refusal(response: Response): Promise<Error> {
  try {
    const body = (await response.json()) as { error?: Told; message?: unknown };
    return new Declined(response.status, body.error ?? (typeof body.message === 'string' ? { message: body.message } : {}));
  } catch {
    return new Declined(response.status);
  }
}
