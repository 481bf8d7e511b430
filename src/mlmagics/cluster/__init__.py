"""Clusters as a notebook knows them: attachments, the session with its clients, the embedded agent."""
