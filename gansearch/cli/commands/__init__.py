"""The commands, one a file; `gansearch.cli.command` says what a file holds."""
