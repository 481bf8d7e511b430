"""The command ``mlmagics``."""
