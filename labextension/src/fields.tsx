/** Forms in dialogs. */

import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

/** The body of a dialog that asks for `given`; a problem with what was given before stands above. */
export class Form<T extends object> extends ReactWidget {
  constructor(
    public given: T,
    private readonly problem: string,
    private readonly fields: (given: T, set: (more: Partial<T>) => void) => JSX.Element
  ) {
    super();
    this.addClass('mlmagics-form');
  }

  protected override render(): JSX.Element {
    return <Filled form={this} problem={this.problem} fields={this.fields} />;
  }
}

function Filled<T extends object>(props: {
  readonly form: Form<T>;
  readonly problem: string;
  readonly fields: (given: T, set: (more: Partial<T>) => void) => JSX.Element;
}): JSX.Element {
  const { form } = props;
  const [given, setGiven] = React.useState(form.given);
  const set = (more: Partial<T>): void => {
    form.given = { ...form.given, ...more };
    setGiven(form.given);
  };
  return (
    <>
      {props.problem && (
        <p role="alert" tabIndex={-1} className="mlmagics-trouble">
          {props.problem}
        </p>
      )}
      {props.fields(given, set)}
    </>
  );
}

export function Field(props: {
  readonly label: string;
  readonly value: string;
  readonly set: (value: string) => void;
  readonly type?: string;
  readonly children?: string;
}): JSX.Element {
  return (
    <label>
      {props.label}
      <input
        type={props.type ?? 'text'}
        className="jp-mod-styled"
        value={props.value}
        autoComplete={props.type ? 'new-password' : 'off'}
        spellCheck={false}
        onChange={event => props.set(event.target.value)}
      />
      {props.children && <small>{props.children}</small>}
    </label>
  );
}
