"""A job is read strictly: what it cannot mean is said with the name of the field."""

from typing import Any

import pytest

from benchmarks.load.__main__ import answer
from benchmarks.load.jobs import EchoJob, JobError, parse_job

ECHO: dict[str, Any] = {
    "workload": "echo",
    "url": "ws://127.0.0.1:1/echo",
    "pid": 1,
    "connections": 1,
    "size": 32,
    "seconds": 1,
}
FANOUT: dict[str, Any] = {
    "workload": "fanout",
    "url": "ws://127.0.0.1:1/fanout",
    "pid": 1,
    "members": 1,
    "size": 32,
    "seconds": 1,
    "stalled": 1,
}


def test_a_job_has_defaults_for_what_is_not_said() -> None:
    job = parse_job({**ECHO, "rate": None, "core": 1})
    assert isinstance(job, EchoJob)
    assert (job.in_flight, job.rate, job.core, job.content, job.patience) == (1, None, 1, "json", 10.0)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "a job is a JSON object, not []"),
        ({}, "field 'workload' holds None; there are echo, handshake, fanout, idle"),
        ({**ECHO, "workload": []}, "field 'workload' holds []; there are echo, handshake, fanout, idle"),
        ({"workload": "idle"}, "field 'url' is missing"),
        ({**ECHO, "sizes": 1}, "no field 'sizes'"),
        ({**ECHO, "size": "1"}, "field 'size' holds '1', which is no integer"),
        ({**ECHO, "size": True}, "field 'size' holds True, which is no integer"),
        ({**ECHO, "size": 1}, "field 'size' holds 1; it must be at least 2"),
        ({**ECHO, "rate": 0}, "field 'rate' holds 0; it must be at least 0.001"),
        ({**ECHO, "rate": "fast"}, "field 'rate' holds 'fast', which is no number or null"),
        ({**ECHO, "seconds": float("nan")}, "field 'seconds' holds nan, which is no number"),
        ({**ECHO, "content": "xml"}, "field 'content' holds 'xml', which is no 'json' or 'random'"),
        ({**ECHO, "content": "random"}, "field 'content' holds 'random', which no text message can carry"),
        ({**ECHO, "url": "http://127.0.0.1:1/"}, "field 'url' holds 'http://127.0.0.1:1/', which is not of the form"),
        ({**ECHO, "url": "ws://127.0.0.1/echo"}, "not of the form ws://HOST:PORT/PATH"),
        ({**ECHO, "url": "ws://127.0.0.1:x/"}, "not of the form ws://HOST:PORT/PATH"),
        (FANOUT, "field 'stall_url' is missing"),
        ({**FANOUT, "stall_url": "/stall"}, "field 'stall_url' holds '/stall'"),
    ],
)
def test_a_malformed_job_is_refused_with_what_is_wrong_in_it(document: object, text: str) -> None:
    with pytest.raises(JobError) as caught:
        parse_job(document)
    assert text in str(caught.value)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(JobError, match="the job is no JSON"):
        answer("{")
