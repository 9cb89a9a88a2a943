"""The Autobahn test suite against a WebSocket class of uvicorn, compared with stored results.

    python -m tests.autobahn                             # the whole suite
    python -m tests.autobahn --cases '1.*' 6.4.1         # some of it
    python -m tests.autobahn --ws websockets-sansio      # another class
    python -m tests.autobahn --write                     # and write the summary into docs/autobahn.md

This is a command and not a pytest test: the suite runs on Python 2.7 only, and takes minutes. The first run makes an
environment in build/autobahn and keeps it there, with the suite's own reports (HTML and JSON) of the last run.
The interpreter is the one that P27 names, else a `python2.7` on the path or of pyenv, else Debian's last package of it,
unpacked and not installed. Headers of Python 2.7 and a C compiler are needed too.

`expected.json` holds each case that ends otherwise than "OK", with the reason. The exit status is 0 when every case
ends as stored or better, 1 when one is worse or missing, and 2 when the suite could not be run.
"""
