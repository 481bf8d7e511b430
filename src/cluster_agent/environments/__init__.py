"""What jobs find installed: the interpreters of the box, and environments that are built for packages."""
