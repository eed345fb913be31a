"""One module a command, each with one Click command named `command`.

A command reads settings, calls the other packages and shows what they report. It prints only through the printer, and what it
needs from kubernetes or the compiler is imported inside the functions that use it.
"""
