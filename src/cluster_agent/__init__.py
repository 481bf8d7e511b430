"""The HTTP service that runs training cells on a box."""

__version__ = "0.1.0"
