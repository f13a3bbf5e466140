"""docs/clients.md says what is so: its snippets are run as they stand, and its table is compared with what was measured."""

import json
import os
import re
import subprocess
import sys

import pytest

from conftest import CLIENT_KEY, text_of
from nodes import NODE, NODE_DIRECTORY
from processes import ROOT
from test_clients import ASKED, BROKEN, GIVEN_UP

DOCUMENT = (ROOT / "docs" / "clients.md").read_text()
ADDRESS = "http://127.0.0.1:8080"

# The document's name of a client -> the tests'.
NAMES = {
    "openai (Python)": "openai python",
    "anthropic (Python)": "anthropic python",
    "openai (Node)": "openai node",
    "LiteLLM": "litellm",
    "LangChain": "langchain",
    "LlamaIndex": "llama-index",
    "Vercel AI SDK": "vercel ai",
}
SNIPPETS = {
    heading: (language, code)
    for heading, language, code in re.findall(r"^## ([^\n]+)\n\n```(\w+)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
}
ROWS = [[cell.strip(" `") for cell in row.strip("|\n").split(" | ")] for row in re.findall(r"^\| .+$", DOCUMENT, re.M)]
TABLE = {row[0]: row for row in ROWS[1:]}

# What a snippet says about address and key, where variables can say it.
ARGUMENTS = re.compile(r'"?(base_url|baseURL|api_base|api_key|apiKey)"?[=:] ?"[^"]*",? ?')


def run(language: str, code: str, variables: dict[str, str]) -> str:
    """What a snippet prints, in an environment that knows no key and no address but these."""
    hidden = ("OPENAI_", "ANTHROPIC_", "LITELLM_", "AI_", "BACKSTOP_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", **variables}
    command = {
        "python": [sys.executable, "-c", code],
        "js": [str(NODE), "--input-type=module", "--eval", code],
        "sh": ["bash", "-euc", code],
    }[language]
    done = subprocess.run(command, cwd=NODE_DIRECTORY, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_client_has_its_snippet_and_row():
    assert list(SNIPPETS) == ["curl", *NAMES]
    assert list(TABLE) == list(NAMES)


@pytest.mark.parametrize("heading", SNIPPETS)
def test_a_snippet_is_answered(heading, start_gateway):
    gateway = start_gateway(server={})
    language, code = SNIPPETS[heading]
    assert ADDRESS in code
    printed = run(language, code.replace(ADDRESS, gateway.url), {})
    if language == "sh":
        printed = json.loads(printed)["choices"][0]["message"]["content"]
    assert printed.strip() == text_of("one", "gpt-4o", "one-a")


@pytest.mark.parametrize("heading", [name for name, row in TABLE.items() if row[3] != "–"])
def test_variables_alone_lead_to_the_gateway(heading, start_gateway):
    gateway = start_gateway()
    language, code = SNIPPETS[heading]
    code = ARGUMENTS.sub("", code)
    assert ADDRESS not in code and "client-key" not in code
    address, key = TABLE[heading][3].replace("`", "").split(", ")
    # Anthropic's SDK appends `/v1` itself.
    url = gateway.url if address.startswith("ANTHROPIC_") else f"{gateway.url}/v1"
    printed = run(language, code, {address: url, key: CLIENT_KEY})
    assert printed.strip() == text_of("one", "gpt-4o", "one-a")


def test_the_table_is_what_was_measured():
    python = dict(re.findall(r"^([\w-]+)==(.+)$", (ROOT / "tests/sdk/requirements.txt").read_text(), re.MULTILINE))
    node = json.loads((NODE_DIRECTORY / "package.json").read_text())["dependencies"]
    for name, row in TABLE.items():
        client = NAMES[name]
        versions = node if client in ("openai node", "vercel ai") else python
        assert row[2] == versions[row[1]]
        assert int(row[4]) == ASKED[client]
        assert row[5] == BROKEN[client]
        assert row[6] == GIVEN_UP[client][0]
