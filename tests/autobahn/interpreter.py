"""Python 2.7 and the Autobahn test suite on it, in build/autobahn."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.program import PROJECT

ROOT: Final = PROJECT / "build" / "autobahn"
SUITE_VERSION: Final = "25.10.1"

# The last virtualenv that makes environments for Python 2.7. It runs on this interpreter.
_VIRTUALENV: Final = "virtualenv<20.22"
_ENVIRONMENT: Final = ROOT / "py27"
# Where Debian's packages are unpacked to, when no interpreter is on the machine.
_UNPACKED: Final = ROOT / "debian" / "root"
# bullseye was the last release of Debian with Python 2.7.
_RELEASE: Final = "bullseye"
_PACKAGES: Final = (
    "python2.7-minimal",
    "libpython2.7-minimal",
    "python2.7",
    "libpython2.7-stdlib",
    "python2.7-dev",
    "libpython2.7-dev",
    "libssl1.1",
    "libffi7",
)
_STEP_SECONDS: Final = 600.0

_WITHOUT_HEADERS: Final = "import sys; assert sys.version_info[:2] == (2, 7)"
# Parts of the suite are compiled.
_WITH_HEADERS: Final = f"""
{_WITHOUT_HEADERS}
import distutils.sysconfig, os
assert os.path.exists(os.path.join(distutils.sysconfig.get_python_inc(), "Python.h"))
"""

# The suite resolves the patterns itself, so that what a pattern means is not written down twice.
_RESOLVE: Final = """
import json, sys
from autobahntestsuite.case import CaseBasename, CaseCategories, Cases, CaseSetname, CaseSubCategories
from autobahntestsuite.caseset import CaseSet
cases = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
asked = json.loads(sys.argv[1])
unknown = [name for name in asked if not set(cases.resolveCasePatternList([name])) & set(cases.CasesById)]
print(json.dumps({"unknown": unknown, "chosen": [] if unknown else cases.parseSpecCases({"cases": asked})}))
"""


class SetupError(Exception):
    """A requirement of the suite is missing. The text names it, and the remedy."""


@dataclass(frozen=True, slots=True)
class Wstest:
    """The suite, ready to run."""

    folder: Path
    # The variables with which programs of the environment are started.
    env: Mapping[str, str]

    def command(self, spec: Path) -> list[str]:
        """Return the command that runs the fuzzing client with this `spec`."""
        return [str(self.folder / "bin" / "wstest"), "-m", "fuzzingclient", "-s", str(spec)]

    def resolve(self, patterns: Sequence[str]) -> list[str]:
        """Return the cases that match the patterns, in the suite's order.

        Raises:
            SetupError: a pattern is not a case, or does not match any.
        """
        command = [str(self.folder / "bin" / "python"), "-c", _RESOLVE, json.dumps(list(patterns))]
        found = json.loads(_output(command, env=self.env))
        if found["unknown"]:
            raise SetupError(f"the suite has no such case: {', '.join(found['unknown'])}")
        chosen: list[str] = found["chosen"]
        return chosen


def set_up(say: Callable[[str], None]) -> Wstest:
    """Make the environment with the suite, unless it is there.

    Args:
        say: called with a line before each slow step.

    Raises:
        SetupError: when that fails.
    """
    made = ROOT / f"made-{SUITE_VERSION}"
    wstest = Wstest(_ENVIRONMENT, _environ())
    if made.exists():
        return wstest
    ROOT.mkdir(parents=True, exist_ok=True)
    python = _python27(say)
    say(f"installing autobahntestsuite {SUITE_VERSION} for {python} into {ROOT}; this takes a minute")
    tool = ROOT / "tool"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-conflicts"]
    _output([*pip, "--upgrade", "--target", str(tool), _VIRTUALENV])
    env = _environ()
    virtualenv = [sys.executable, "-m", "virtualenv", "--clear", "--python", python, str(_ENVIRONMENT)]
    _output(virtualenv, env={**env, "PYTHONPATH": str(tool)})
    pip27 = [str(_ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _output([*pip27, f"autobahntestsuite=={SUITE_VERSION}"], env={**env, "PYTHONWARNINGS": "ignore"})
    # Last, so that an interrupted environment is made again.
    made.touch()
    return Wstest(_ENVIRONMENT, env)


def _environ() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    if _UNPACKED.exists():
        libraries = {str(path.parent) for path in _UNPACKED.rglob("*.so.*")}
        env["LD_LIBRARY_PATH"] = os.pathsep.join([*sorted(libraries), *filter(None, [env.get("LD_LIBRARY_PATH")])])
        # Debian's Python 2.7 looks for its headers in /usr, wherever it is unpacked.
        include = _UNPACKED / "usr" / "include"
        env["C_INCLUDE_PATH"] = f"{include / 'python2.7'}{os.pathsep}{include}"
    return env


def _python27(say: Callable[[str], None]) -> str:
    """Return a Python 2.7: the one that P27 names, one of the machine, or Debian's."""
    named = os.environ.get("P27")
    if named:
        if not _runs(named, _WITH_HEADERS):
            raise SetupError(f"P27 is {named}, which is not a Python 2.7 with headers")
        return named
    for candidate in _candidates():
        if _runs(candidate, _WITH_HEADERS):
            return candidate
    say(f"no Python 2.7 on this machine: unpacking that of Debian {_RELEASE}")
    python = _unpack()
    if not _runs(python, _WITHOUT_HEADERS):
        raise SetupError("the Python 2.7 of Debian does not run here; name another with P27=/path/to/python2.7")
    return python


def _candidates() -> Iterator[str]:
    # The shim of pyenv is on the path for any version, and fails for those that are not chosen.
    on_path = shutil.which("python2.7")
    if on_path:
        yield on_path
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = Path(_output([pyenv, "root"]).strip())
        yield from sorted(map(str, root.glob("versions/2.7*/bin/python2.7")), reverse=True)


def _runs(python: str, probe: str) -> bool:
    try:
        run = subprocess.run([python, "-c", probe], env=_environ(), capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


def _unpack() -> str:
    """Download Debian's packages with apt, unpack them, and return the interpreter."""
    how = "install Python 2.7 with its headers, and name it with P27=/path/to/python2.7"
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise SetupError(f"there is no Python 2.7 here, and no apt to get one with: {how}")
    # The mirror of this machine's own packages, which usually has the older release too.
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    mirrors = _output(targets).split()
    if not mirrors:
        raise SetupError(f"there is no Python 2.7 here, and apt has no source of Debian to get one from: {how}")
    folder = ROOT / "debian"
    shutil.rmtree(folder, ignore_errors=True)
    packages = folder / "packages"
    for needed in (packages, folder / "state" / "lists" / "partial", folder / "cache" / "archives" / "partial"):
        needed.mkdir(parents=True)
    keys = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    (folder / "sources.list").write_text(f"deb {keys} {mirrors[0]} {_RELEASE} main\n", encoding="utf-8")
    (folder / "status").touch()
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        # Else root downloads as a user that may not be allowed to write below a home directory.
        "APT::Sandbox::User": "root",
    }
    configuration = folder / "apt.conf"
    configuration.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()), encoding="utf-8")
    env = {**os.environ, "APT_CONFIG": str(configuration)}
    _output(["apt-get", "--quiet", "update"], env=env)
    _output(["apt-get", "--quiet", "download", *_PACKAGES], env=env, cwd=packages)
    for package in sorted(packages.glob("*.deb")):
        _output(["dpkg", "-x", str(package), str(_UNPACKED)])
    return str(_UNPACKED / "usr" / "bin" / "python2.7")


def _output(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command, and return its output.

    Raises:
        SetupError: the command failed; with its stderr.
    """
    try:
        run = subprocess.run(
            command, env=env, cwd=cwd, capture_output=True, text=True, timeout=_STEP_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{command[0]} cannot be run: {error}") from error
    if run.returncode != 0:
        raise SetupError(f"{' '.join(command)}\nended with {run.returncode}:\n{run.stderr.strip()[-4000:]}")
    return run.stdout
