"""Commands: encoding of arguments, options, names, operations; write results and server errors."""
