/** The section of clusters: the list of `%attachments`. */

import * as React from 'react';
import type { State } from '../model';
import { oneLine } from '../page';
import type { ClusterView } from '../types';
import { clusterFacts } from '../words';
import type { Words } from '../words';
import { Empty, Options } from '../widgets';

export interface ClustersProps {
  readonly state: State;
  readonly trans: Words;
  readonly add: () => void;
  readonly insert: (name: string) => void;
}

export function Clusters(props: ClustersProps): JSX.Element {
  const { state, trans, add } = props;
  if (state.clusters === null) {
    return <Empty>{state.phase === 'loading' || state.phase === 'ready' ? trans.__('Asking the clusters…') : trans.__('No clusters to show.')}</Empty>;
  }
  const isAlone = state.clusters.every(cluster => cluster.name === 'local');
  return (
    <>
      {state.clusters.length > 0 && (
        <Options label={trans.__('Clusters')} open={props.insert}>
          {state.clusters.map(cluster => (
            <ClusterRow key={cluster.name} cluster={cluster} trans={trans} />
          ))}
        </Options>
      )}
      {isAlone && (
        <Empty action={{ label: trans.__('Add a cluster'), act: add }}>
          {trans.__('No other cluster yet. Paste the invite that you were sent:')}
        </Empty>
      )}
    </>
  );
}

function ClusterRow({ cluster, trans }: { readonly cluster: ClusterView; readonly trans: Words }): JSX.Element {
  const second = clusterFacts(cluster, trans).join(', ') || oneLine(cluster.address);
  const remark = oneLine(cluster.remark);
  return (
    <div
      role="option"
      className="mlmagics-row mlmagics-cluster"
      data-key={cluster.name}
      data-state={cluster.usable ? 'usable' : 'unusable'}
      aria-label={[`${cluster.state}: ${cluster.name}`, second, remark].filter(Boolean).join(', ')}
      title={[`${cluster.name}: ${cluster.state}`, oneLine(cluster.address), second, remark].filter(Boolean).join('\n')}
    >
      <div className="mlmagics-first">
        <span className="mlmagics-state">{cluster.state}</span>
        <span className="mlmagics-name">{cluster.name}</span>
      </div>
      <div className="mlmagics-second">{second}</div>
      {remark && <div className="mlmagics-remark">{remark}</div>}
    </div>
  );
}
