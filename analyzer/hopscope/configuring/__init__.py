"""Settings read from files, the environment and the command line, checked, and shown with where they came from."""
