"""Running a flow: the plan of a version, the runner that walks it, tries and time limits. Needs no database."""
