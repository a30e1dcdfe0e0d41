"""onnxruntime-web: the files that run an ONNX graph in a browser.

They are large and are no part of this project: npm gets them once, into the cache, and they are
compared with the digest of the version that was tried.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dait.errors import UserError
from dait.events import Emit, Note, ignore
from dait.storage.cache import cache_dir, load_or_fill

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
"""Of the package's archive, in hex."""
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""Of the package's folder ``dist``: the smallest that run on the processor, without a worker."""
NPM = "DAIT_NPM"
"""The environment variable that names another npm."""

LICENCE = """MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and \
associated documentation files (the "Software"), to deal in the Software without restriction, \
including without limitation the rights to use, copy, modify, merge, publish, distribute, \
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is \
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or \
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT \
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND \
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, \
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT \
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


@dataclass(frozen=True)
class Runtime:
    """The two files that a page needs, as bytes."""

    script: bytes
    wasm: bytes


def web_runtime(emit: Emit = ignore) -> Runtime:
    """The runtime from the cache, got by npm the first time (33 MB).

    Raises ``UserError`` where there is no npm, where it cannot get the package, and where the
    package is not the one that was tried.
    """
    return load_or_fill(_folder(), _load, lambda temporary: _fill(temporary, emit), emit)


def has_web_runtime() -> bool:
    """Whether the runtime is on this machine, so that nothing has to be got."""
    return _load(_folder()) is not None


def _folder() -> Path:
    return cache_dir() / "web-runtime" / f"{PACKAGE}-{VERSION}"


def _load(folder: Path) -> Runtime | None:
    try:
        return Runtime((folder / SCRIPT).read_bytes(), (folder / WASM).read_bytes())
    except FileNotFoundError:
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _fill(folder: Path, emit: Emit) -> None:
    emit(Note(f"npm gets {PACKAGE} {VERSION}, which runs networks in browsers (33 MB, once)"))
    with TemporaryDirectory(prefix="dait-npm-") as temporary:
        archive = _packed(Path(temporary))
        if hashlib.sha512(archive.read_bytes()).hexdigest() != SHA512:
            raise UserError(
                f"What npm got as {PACKAGE} {VERSION} is not the package that was tried here: its "
                "digest is another one. Ask whoever runs npm's registry on this machine."
            )
        with tarfile.open(archive) as packed:
            for name in (SCRIPT, WASM):
                member = packed.extractfile(f"package/dist/{name}")
                assert member is not None  # the archive is known
                with member, (folder / name).open("wb") as file:
                    shutil.copyfileobj(member, file)


def _packed(folder: Path) -> Path:
    """The package's archive, from the registry that npm is configured to use."""
    npm = shutil.which(os.environ.get(NPM) or "npm")
    if npm is None:
        raise UserError(
            f"A page for the browser needs {PACKAGE}, which npm gets once; there is no npm on this "
            "machine. Install Node.js, or leave out --web."
        )
    try:
        done = subprocess.run(
            [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=600,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"npm could not get {PACKAGE}: {error}") from error
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        reason = said[0][:200] if said else f"it ended with {done.returncode}"
        raise UserError(
            f"npm could not get {PACKAGE} {VERSION} ({reason}). Is this machine online? With a "
            "connection it is got once and kept in the cache; or leave out --web."
        )
    return archives[0]
