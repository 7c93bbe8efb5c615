"""The one place that holds the version number. Read by the build, the CLI and the journal."""

VERSION = "0.1.0"
