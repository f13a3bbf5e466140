"""Performs a Dockerfile as plain commands in a scratch folder: what can be known about an image without an engine.

A stage is a directory. COPY copies into it, RUN runs in its working directory with this machine's tools in place of the
base image's. Only what our Dockerfile uses is understood; anything else is an error, not a step that is left out.

What it cannot show: that the base images have those tools, and what the engine does with users and layers.
"""

import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

from dockerfile_parse import DockerfileParser

# Older than anything that a build writes: a checkout usually is, and the engine keeps files' times.
CHECKED_OUT = 1_000_000_000

# What is taken from a base image, and found at the same place on this machine.
FROM_BASE = {"rust:1-slim-bookworm": {"/etc/ssl/certs/ca-certificates.crt"}, "debian:bookworm-slim": set()}


class NotUnderstood(Exception):
    """The Dockerfile has something that is not performed here."""


@dataclasses.dataclass
class Step:
    """One RUN: its command, what was copied from the context before it, and what it wrote."""

    command: str
    copied: list[str]
    output: str


@dataclasses.dataclass
class Stage:
    base: str
    root: pathlib.Path
    workdir: str = "/"
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    copied: list[str] = dataclasses.field(default_factory=list)
    steps: list[Step] = dataclasses.field(default_factory=list)
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    user: str = "root"
    ports: list[str] = dataclasses.field(default_factory=list)
    health: list[str] | None = None
    health_options: dict[str, str] = dataclasses.field(default_factory=dict)
    entrypoint: list[str] = dataclasses.field(default_factory=list)
    command: list[str] = dataclasses.field(default_factory=list)

    def inside(self, path: str) -> pathlib.Path:
        """Where a path of the image is on this machine."""
        return self.root / os.path.normpath(os.path.join(self.workdir, path)).lstrip("/")

    def files(self) -> set[str]:
        return {f"/{path.relative_to(self.root)}" for path in self.root.rglob("*") if path.is_file()}


def context(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """What would be sent to the builder: what .dockerignore lets through: `*` first, then plain exceptions."""
    lines = (source / ".dockerignore").read_text().splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if patterns[:1] != ["*"] or not all(re.fullmatch(r"![\w./-]+", pattern) for pattern in patterns[1:]):
        raise NotUnderstood(f".dockerignore: {patterns}")
    target.mkdir()
    for pattern in patterns[1:]:
        copy(source / pattern[1:], target / pattern[1:])
    for path in target.rglob("*"):
        os.utime(path, (CHECKED_OUT, CHECKED_OUT))
    return target


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Files with their times, directories with what is in them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


class Build:
    """Performs a file's instructions; `stages` has each stage by its name, or by its number."""

    def __init__(self, dockerfile: pathlib.Path, files: pathlib.Path, scratch: pathlib.Path, env: dict[str, str]):
        self.files, self.scratch, self.env = files, scratch, env
        self.stages: dict[str, Stage] = {}
        with dockerfile.open("rb") as text:
            parsed = DockerfileParser(fileobj=text).structure
        for line in parsed:
            name = line["instruction"]
            perform = getattr(self, f"_{name.lower()}", None)
            if name == "COMMENT":
                continue
            if perform is None:
                raise NotUnderstood(f"line {line['startline'] + 1}: {name}")
            perform(line["value"])

    @property
    def last(self) -> Stage:
        return list(self.stages.values())[-1]

    def _from(self, value: str) -> None:
        base, *name = re.split(r"\s+AS\s+", value)
        if base not in FROM_BASE:
            raise NotUnderstood(f"FROM {base}")
        name = name[0] if name else str(len(self.stages))
        self.stages[name] = Stage(base, self.scratch / f"stage-{name}")
        self.last.root.mkdir()

    def _workdir(self, value: str) -> None:
        self.last.workdir = value
        self.last.inside(".").mkdir(parents=True, exist_ok=True)

    def _env(self, value: str) -> None:
        self.last.env.update(pairs(value))

    def _label(self, value: str) -> None:
        self.last.labels.update(pairs(value))

    def _user(self, value: str) -> None:
        self.last.user = value

    def _expose(self, value: str) -> None:
        self.last.ports.append(value)

    def _entrypoint(self, value: str) -> None:
        self.last.entrypoint = json.loads(value)

    def _cmd(self, value: str) -> None:
        self.last.command = json.loads(value)

    def _healthcheck(self, value: str) -> None:
        flags, rest = options(value)
        word, command = rest.split(maxsplit=1)
        if word != "CMD":
            raise NotUnderstood(f"HEALTHCHECK {value}")
        self.last.health, self.last.health_options = json.loads(command), flags

    def _copy(self, value: str) -> None:
        flags, rest = options(value)
        if unknown := flags.keys() - {"from", "chmod"}:
            raise NotUnderstood(f"COPY with {unknown}")
        *sources, target = shlex.split(rest)
        for source in sources:
            self._copy_one(source, target, len(sources), flags)

    def _copy_one(self, source: str, target: str, count: int, flags: dict[str, str]) -> None:
        if "from" in flags:
            stage = self.stages[flags["from"]]
            found = pathlib.Path(source) if source in FROM_BASE[stage.base] else stage.inside(source)
        else:
            found = self.files / source
            self.last.copied.append(source)
        if not found.exists():
            raise FileNotFoundError(f"COPY {source}: it is not there, or .dockerignore keeps it away")
        if count > 1 and not target.endswith("/"):
            raise NotUnderstood("several files are copied into a directory, which ends with a slash")
        place = self.last.inside(target)
        if target.endswith("/") and not found.is_dir():
            place = place / found.name
        copy(found, place)
        if "chmod" in flags:
            place.chmod(int(flags["chmod"], 8))

    def _run(self, value: str) -> None:
        if value.startswith(("-", "[")) or re.search(r"(^|[\s=>\"'])/\w", value):
            raise NotUnderstood(f"RUN with a flag, a list or an absolute path: {value}")
        stage = self.last
        done = subprocess.run(
            ["sh", "-c", value],
            cwd=stage.inside("."),
            env={**self.env, **stage.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"RUN {value}\nended with {done.returncode}:\n{done.stdout}")
        stage.steps.append(Step(value, list(stage.copied), done.stdout))


def options(value: str) -> tuple[dict[str, str], str]:
    """The `--name=value` flags that an instruction begins with, and the rest."""
    flags = {}
    while found := re.match(r"--([\w-]+)=(\S+)\s+", value):
        flags[found[1]] = found[2]
        value = value[found.end() :]
    return flags, value


def pairs(value: str) -> dict[str, str]:
    words = shlex.split(value)
    if not all("=" in word for word in words):
        raise NotUnderstood(f"not NAME=value: {value}")
    return dict(word.split("=", 1) for word in words)
