"""The command line: options in, `tasks` called, results drawn. Imports nothing heavy."""
