"""Other systems that run people's code, behind one interface. Run in an environment of their own: ``tools/peers.py``."""
