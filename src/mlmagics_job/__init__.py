"""What runs inside a job: its own interpreter, with the standard library and nothing else to count on."""
