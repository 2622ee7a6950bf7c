"""The command line: the only place that parses options, prints, or exits."""
