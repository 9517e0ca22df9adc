"""The command line: options in, `commands` called, results drawn. Imports nothing heavy."""
