"""onnxruntime-web's files, of one version, each checked by its hash: from npm, or from a folder."""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ..names import shown

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
FILES = {  # in the package's dist/ -> its SHA-256
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",  # SIMD and threads
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",  # these call WebGPU
    "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}
PATIENCE = 300  # seconds for npm


def runtime(folder: str | Path | None = None) -> dict[str, bytes]:
    """Each of FILES -> its content.

    Args:
        folder: where the package lies, or its dist/; npm fetches it if None.

    Raises:
        ValueError: a file is another than the one that this page was tried with.
        OSError: it cannot be fetched, or a file is missing; says what to do.
    """
    if folder is not None:
        return _read(Path(folder))
    with tempfile.TemporaryDirectory() as aside:
        return _read(_fetched(Path(aside)))


def _fetched(aside: Path) -> Path:
    wanted = f"{PACKAGE}@{VERSION}"
    hint = f"give the folder of {wanted} by --runtime"
    npm = shutil.which("npm")
    if npm is None:
        raise OSError(f"npm is not installed; {hint}")
    command = [npm, "pack", wanted, "--silent", "--pack-destination", str(aside)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE, cwd=aside)
        (archive,) = aside.glob("*.tgz")
    except (subprocess.SubprocessError, ValueError):
        raise OSError(f"npm could not fetch {wanted}; {hint}") from None
    with tarfile.open(archive) as opened:
        opened.extractall(aside, filter="data")
    return aside / "package"


def _read(folder: Path) -> dict[str, bytes]:
    dist = folder / "dist" if (folder / "dist").is_dir() else folder
    found = {}
    for name, wanted in FILES.items():
        try:
            found[name] = (dist / name).read_bytes()
        except OSError:
            raise OSError(f"{shown(dist)} lacks {name} of {PACKAGE} {VERSION}") from None
        if hashlib.sha256(found[name]).hexdigest() != wanted:
            raise ValueError(f"{shown(dist / name)} is not that of {PACKAGE} {VERSION}")
    return found
