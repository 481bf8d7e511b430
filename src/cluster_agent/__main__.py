"""``python -m cluster_agent`` is ``cluster-agent``."""

from cluster_agent.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
