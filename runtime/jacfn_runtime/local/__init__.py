"""The laptop's stand-in for Knative: every endpoint is a process of its own behind an activator on one port, zero when idle.

Same environment contract, same command, same drain as in a cluster, so that what breaks there breaks on the desk first. It is a
development tool: it prints nothing (whoever starts it gets events), scales to one and no further, and stores nothing.
"""
