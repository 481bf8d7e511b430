"""The event log: its lines, its one writer, its readers."""
