"""What ``make demo`` does: run the taxi notebook on an agent of its own, visibly, and say what came out.

Everything lies in ``.demo`` (or the folder given): the agent's home, the project, the executed notebook. ``tools/lab.py`` opens the
same in JupyterLab.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else ROOT / ".demo"
NOTEBOOK = ROOT / "examples" / "taxi.ipynb"
EXECUTED = DEMO / "taxi.ipynb"
SAMPLE = ROOT.parent / "shared" / "data" / "nyc_yellow_taxi_sample_2018_2020.parquet"
CELL_LIMIT_S = 900


def prepare() -> None:
    """Make the folder and point this process and its kernels to it: nothing of the person's own is touched."""
    agent = DEMO / "agent"
    agent.mkdir(mode=0o700, parents=True, exist_ok=True)
    (DEMO / "project").mkdir(exist_ok=True)
    (agent / "agent.toml").write_text(f'project = "{DEMO / "project"}"\n', encoding="utf-8")
    for name in [name for name in os.environ if name.startswith(("CLUSTER_AGENT_", "MLMAGICS_"))]:
        del os.environ[name]
    os.environ.pop("PROJECT_URL", None)
    os.environ["MLMAGICS_LOCAL_HOME"] = str(agent)
    os.environ["MLMAGICS_CONFIG_DIR"] = str(DEMO / "config")
    os.environ["IPYTHONDIR"] = str(DEMO / "ipython")
    # A kernel called python3 that the person has elsewhere is another environment.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    if os.environ.get("TAXI_DATA"):
        os.environ["TAXI_DATA"] = str(Path(os.environ["TAXI_DATA"]).absolute())
        if not Path(os.environ["TAXI_DATA"]).is_file():
            raise SystemExit(f"make demo: TAXI_DATA is {os.environ['TAXI_DATA']}, and there is no such file")
    elif "TAXI_DATA" not in os.environ and SAMPLE.exists():
        os.environ["TAXI_DATA"] = str(SAMPLE)


def run() -> Any:
    """The notebook, executed, with its output shown as it comes; saved also when a cell fails."""
    import nbformat
    from nbclient import NotebookClient

    class Visible(NotebookClient):
        def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
            show(cell["id"], msg["msg_type"], msg["content"])
            return super().process_message(msg, cell, cell_index)

    def announce(cell: Any, cell_index: int) -> None:
        if cell["cell_type"] == "code":
            first = cell["source"].splitlines()[0]
            title = first if first.startswith("%") else cell["id"]
            print(f"[{cell_index + 1}/{len(notebook.cells)}] {title[:100]}", flush=True)

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = Visible(
        notebook,
        timeout=CELL_LIMIT_S,
        kernel_name="python3",
        # Newer kernels warn of local TCP each time they start.
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(DEMO)}},
        on_cell_start=announce,
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, EXECUTED)
    return notebook


def show(cell_id: str, kind: str, content: dict[str, Any]) -> None:
    """Print what a cell has just put out."""
    text = ""
    if kind == "stream" and (cell_id != "logs" or content["text"].startswith("Job Status")):
        text = content["text"]
    elif kind == "display_data":
        plot = "image/png" in content["data"]
        text = "(a plot)" if plot else content["data"].get("text/plain", "")
    if text.strip():
        print(textwrap.indent(text.strip("\n"), "    "), flush=True)


def printed(notebook: Any, cell_id: str) -> str:
    """All text that a cell shows."""
    (cell,) = (cell for cell in notebook.cells if cell["id"] == cell_id)
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell["outputs"]]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(texts))


def save_plots(notebook: Any) -> list[Path]:
    """The plots that the notebook shows, as PNG files."""
    paths = []
    for cell_id in ("train", "predict"):
        cell = next(cell for cell in notebook.cells if cell["id"] == cell_id)
        found = [o["data"]["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
        for picture in found[-1:]:
            paths.append(DEMO / f"{cell_id}.png")
            paths[-1].write_bytes(base64.b64decode(picture))
    return paths


def line_with(word: str, text: str) -> str:
    """The last line of ``text`` that holds ``word``."""
    lines = [line.strip() for line in text.splitlines() if word in line]
    if not lines:
        raise SystemExit(f"make demo: the notebook has run, but shows no {word!r}; it is in {EXECUTED}")
    return lines[-1]


def report(notebook: Any) -> None:
    """Print what came out."""
    from mlmagics.cluster.overview import attachments
    from mlmagics.display.tables import attachments_table

    trained, shown = printed(notebook, "train"), printed(notebook, "logs")
    model = line_with("project://models/", trained).split("project://")[-1]
    print(f"\n{'-' * 30} what came out {'-' * 30}")
    print(attachments_table(attachments()).as_text())
    print(line_with("Data: ", printed(notebook, "prepare")))
    print(line_with("History URL: ", trained))
    print(line_with("Job Status: ", shown))
    print(line_with("MAE", trained))
    print(line_with("minutes", printed(notebook, "predict")))
    print(f"Model:     {DEMO / 'project' / model}")
    print(f"Notebook:  {EXECUTED}")
    for path in save_plots(notebook):
        print(f"Plot:      {path}")


def main() -> None:
    """Run all of it; one line and exit code 1 when something fails."""
    started = time.monotonic()
    try:
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ImportError as error:
        raise SystemExit(
            f"make demo: {error}; start it by 'make demo', which installs what it needs"
        ) from None
    prepare()
    try:
        notebook = run()
    except CellExecutionError as error:
        said = (error.evalue or error.ename).strip().splitlines()
        raise SystemExit(f"make demo: a cell failed: {error.ename}: {said[0]} (see {EXECUTED})") from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise SystemExit(f"make demo: {str(error).strip().splitlines()[0]} (see {EXECUTED})") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    report(notebook)
    print(f"Done in {time.monotonic() - started:.0f} s. The same in JupyterLab: make lab")


if __name__ == "__main__":
    main()
