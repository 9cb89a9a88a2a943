"""Tests of the wire, without a socket."""
