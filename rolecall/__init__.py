"""The shell around everything else: command line, settings, logs, and the wiring of the server."""
