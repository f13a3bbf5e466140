"""Where nginx and haproxy come from: the path of this machine, else Debian's packages, unpacked and never installed.

Owns `.cache/proxies` and the variables that a program from there needs. Refuses to know how either program is configured
or started: an installed package would start a service on a well-known port, an unpacked one is only a file.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNPACKED = ROOT / ".cache" / "proxies"
PROGRAMS = ("nginx", "haproxy")
# Debian keeps both in sbin, which is often not on the path of someone who is not root.
SYSTEM_PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
INSTALL = re.compile(r"^Inst (\S+)( \[)?", re.MULTILINE)
APT_SECONDS = 300


class Missing(Exception):
    """A program is neither here nor to be had."""


def locate(program: str) -> pathlib.Path | None:
    """The program, if it is on this machine already."""
    if found := shutil.which(program, path=SYSTEM_PLACES):
        return pathlib.Path(found)
    unpacked = UNPACKED / "usr" / "sbin" / program
    return unpacked if unpacked.exists() else None


def variables(program: pathlib.Path) -> dict[str, str]:
    """What its environment needs: an unpacked program has its libraries beside it."""
    if UNPACKED not in program.parents:
        return {}
    # The name of the directory is the architecture's: x86_64-linux-gnu, aarch64-linux-gnu.
    places = sorted(str(path) for pattern in ("lib/*-linux-*", "usr/lib/*-linux-*") for path in UNPACKED.glob(pattern))
    return {"LD_LIBRARY_PATH": os.pathsep.join(places)} if places else {}


def wanted(simulation: str, programs: list[str]) -> list[str]:
    """The packages that a simulated installation would add.

    One that is here in an older version stays as it is: its newer libraries might not fit those of the system.
    """
    return [name for name, upgrade in INSTALL.findall(simulation) if not upgrade or name in programs]


def apt(*arguments: str, directory: pathlib.Path | None = None) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(
        ["apt-get", "-qq", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        cwd=directory,
        timeout=APT_SECONDS,
    )
    if done.returncode != 0:
        raise Missing(f"apt-get {' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return done.stdout


def download(programs: list[str], directory: pathlib.Path) -> None:
    simulation = apt("install", "--simulate", "--no-install-recommends", *programs)
    # One call for all, so that a package that is gone from the mirror fails before anything is unpacked.
    apt("download", *wanted(simulation, programs), directory=directory)


def refresh() -> None:
    """The lists of packages, which a fresh container has none of. Only this needs root."""
    command = ["apt-get", "-qq", "update"]
    if os.geteuid() != 0:
        command = ["sudo", "--non-interactive", *command]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=APT_SECONDS, check=False)


def unpack(programs: list[str]) -> None:
    """Downloads and unpacks beside the final place, which appears whole or not at all."""
    UNPACKED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNPACKED.parent, prefix="proxies-") as temporary:
        downloads, tree = pathlib.Path(temporary) / "deb", pathlib.Path(temporary) / "tree"
        downloads.mkdir()
        # apt drops its rights for a download, and cannot write into a directory that only we may enter.
        for place in (downloads.parent, downloads):
            place.chmod(0o755)
        try:
            download(programs, downloads)
        except Missing:
            refresh()
            download(programs, downloads)
        for package in sorted(downloads.glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", str(package), str(tree)], check=True, capture_output=True)
        if UNPACKED.exists():
            shutil.rmtree(UNPACKED)
        tree.rename(UNPACKED)


def provide(programs: list[str]) -> dict[str, pathlib.Path]:
    """Every one of these programs; fetches what is missing."""
    if missing := [one for one in programs if not locate(one)]:
        # Both come at once even if one is here: the directory is replaced as a whole.
        again = [one for one in PROGRAMS if one in missing or (UNPACKED / "usr" / "sbin" / one).exists()]
        try:
            unpack(again)
        except (OSError, subprocess.SubprocessError) as error:
            raise Missing(f"{', '.join(missing)}: {error}") from error
    found = {one: locate(one) for one in programs}
    if gone := [one for one, path in found.items() if path is None]:
        raise Missing(f"not in Debian's packages: {', '.join(gone)}")
    return {one: path for one, path in found.items() if path is not None}
