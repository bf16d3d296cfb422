"""The steps of a Dockerfile, and their execution without a container engine: layers are overlays of this machine's own files."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

BUILD_S = 300


class Step(NamedTuple):
    instruction: str
    rest: str


def steps(text: str) -> Iterator[Step]:
    """One for each instruction; lines that go on are joined, comments left out."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        if line.strip():
            instruction, _, rest = line.strip().partition(" ")
            yield Step(instruction.upper(), rest.strip())


class Image:
    """What its Dockerfile made of it.

    Attributes:
        files: what the image has beside its base, which is this machine.
    """

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self._work = folder / "work"
        self.root = folder / "root"
        for each in (self.files, self._work, self.root):
            each.mkdir(parents=True)
        self.environment: dict[str, str] = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        self.folder = "/"
        self.user = "0:0"
        self.declared: dict[str, str] = {}

    def command(self, key: str) -> list[str]:
        """Of CMD, ENTRYPOINT or HEALTHCHECK, which have the form of a list."""
        words: list[str] = json.loads(self.declared[key][self.declared[key].index("[") :])
        return words

    def mounted(self, script: str) -> list[str]:
        """A command that runs a shell with the image at `self.root`, in namespaces of its own."""
        overlay = f"lowerdir=/,upperdir={self.files},workdir={self._work}"
        mount = f"mount -t overlay overlay -o {overlay} {self.root} && mount -t proc proc {self.root}/proc"
        mount += f" && mount --bind /dev {self.root}/dev"
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", f"{mount} && {script}"]

    def inside(self, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """What a shell outside types to become this command in the image."""
        assignments = [f"{name}={value}" for name, value in {**self.environment, **environment}.items()]
        clean = ["env", "-i", "-C", self.folder, *assignments]
        return shlex.join(["chroot", f"--userspec={self.user}", "--groups=", str(self.root), *clean, *command])


def built(dockerfile: Path, context: Path, folder: Path, base: Image | None = None) -> Image:
    """Execute it. The image `base` is what FROM of any other name than a stage's means."""
    stages: dict[str, Image] = {}
    image = Image(folder / "none")
    for number, step in enumerate(steps(dockerfile.read_text())):
        if step.instruction == "FROM":
            image = Image(folder / str(number))
            if base is not None:
                image.files.rmdir()
                shutil.copytree(base.files, image.files, symlinks=True)
                image.environment, image.folder, image.user = {**base.environment}, base.folder, base.user
                image.declared = {**base.declared}
            else:
                _with_python(image)
            stages[step.rest.rpartition(" AS ")[2]] = image
        elif step.instruction == "RUN":
            _run(image, step.rest)
        elif step.instruction == "COPY":
            _copy(image, step.rest, context, stages)
        elif step.instruction == "ENV":
            image.environment.update(dict(word.split("=", 1) for word in shlex.split(step.rest)))
        elif step.instruction == "WORKDIR":
            image.folder = step.rest
            (image.files / step.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.instruction == "USER":
            image.user = step.rest
        else:
            image.declared[step.instruction] = step.rest
    return image


def _with_python(image: Image) -> None:
    """As the base has it: `python` in the PATH, and every user can run it."""
    programs = Path(sys.base_prefix) / "bin"
    image.environment["PATH"] = f"{programs}:{image.environment['PATH']}"
    closed = [parent for parent in (programs, *programs.parents) if not parent.stat().st_mode & 0o001]
    script = " && ".join(f"chmod o+x {image.root}{parent}" for parent in closed) or "true"
    subprocess.run(image.mounted(script), check=True, timeout=BUILD_S)


def _run(image: Image, command: str) -> None:
    settings = {
        name: value for name, value in os.environ.items() if not name.startswith(("III_", "VIRTUAL_ENV", "PYTHON"))
    }
    environment = {**settings, **image.environment, "PATH": f"{image.environment['PATH']}:/usr/sbin:/sbin"}
    script = image.inside(["sh", "-ec", command], environment)
    done = subprocess.run(image.mounted(script), capture_output=True, text=True, timeout=BUILD_S)
    assert done.returncode == 0, f"RUN {command}\n{done.stdout}{done.stderr}"


def _copy(image: Image, rest: str, context: Path, stages: Mapping[str, Image]) -> None:
    words = shlex.split(rest)
    options = dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--"))
    *sources, target = (word for word in words if not word.startswith("--"))
    origin = stages[options["from"]].files if "from" in options else context
    place = image.files / (Path(image.folder) / target).as_posix().lstrip("/")
    for source in sources:
        found = origin / source.lstrip("/")
        if found.is_dir():
            shutil.copytree(
                found, place, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            into = place if target.endswith("/") else place.parent
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, into / found.name if target.endswith("/") else place)
    if "chown" in options:
        subprocess.run(["chown", "-R", options["chown"], str(place)], check=True)
