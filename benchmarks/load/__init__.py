"""The load generator: a process of its own that drives one server and checks every reply.

`python -m benchmarks.load` reads one job from its standard input and writes one outcome, both JSON. It is a picows
client on uvloop, so that it is faster than what it measures, and it says how much of a core it needed.
"""
