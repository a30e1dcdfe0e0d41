"""The runtime of pages comes from npm once, and is what it was when it was tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from dait.bundle.web.runtime import has_web_runtime, web_runtime
from dait.errors import UserError


def test_without_npm_a_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path))
    monkeypatch.setenv("DAIT_NPM", str(tmp_path / "no-npm"))
    with pytest.raises(UserError, match=r"there is no npm.*Node.js"):
        web_runtime()
    other = tmp_path / "npm"
    other.write_text("#!/bin/sh\necho other > onnxruntime-web.tgz\n")
    other.chmod(0o755)
    monkeypatch.setenv("DAIT_NPM", str(other))
    with pytest.raises(UserError, match="its digest is another one"):
        web_runtime()
    other.write_text("#!/bin/sh\necho 'npm error network: offline' >&2\nexit 1\n")
    with pytest.raises(UserError, match=r"npm could not get .*network: offline"):
        web_runtime()
    assert not has_web_runtime()
