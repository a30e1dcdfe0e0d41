"""Every row of the table of what a public Space allows, on a real server without a network."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from browsing import served
from PIL import Image
from visitor import Visitor, file_named

from app.config import PROJECT, SPACE_LIMITS, AppConfig
from app.export.bundles import PAGE, Bundles
from app.policy import RULES, Policy, rules_table
from app.queue.training_queue import TrainingQueue
from app.studies.order import Order
from app.studies.ticket import write_ticket
from dait.config.recipe import Recipe, load_recipe
from dait.errors import UserError
from dait.runs.folder import RunsRoot, StudyFolder

TINY = load_recipe("tiny")
REFUSED: dict[str, Recipe] = {
    "a data set to download": TINY.changed({"data.source": "cub-200-2011"}),
    "the hub's data": TINY.changed({"data.source": "hf:owner/photographs"}),
    "a folder of the machine": TINY.changed({"data.source": "/etc"}),
    "a large teacher": TINY.changed({"teacher.name": "openclip:ViT-B-32/laion2b_s34b_b79k"}),
    "a folder's teacher": TINY.changed({"teacher.name": "openclip-local:/etc"}),
    "pretrained weights": TINY.changed({"student.pretrained": True}),
    "weights of a file": TINY.changed({"student.weights": "/etc/x.safetensors"}),
    "an assistant's weights": TINY.changed(
        {"takd.network": {"name": "resnet18", "pretrained": True}}
    ),
    "a large network": TINY.changed({"intermediate": {"name": "vit_huge_patch14_224"}}),
    "large images": TINY.changed({"data.size": 512}),
    "many epochs": TINY.changed({"train.epochs": 6}),
    "many epochs before": TINY.changed({"dait.stage1_epochs": 2000}),
}
ALLOWED = ("tiny", "demo", "few-shot")


@pytest.mark.parametrize("what", REFUSED)
def test_a_space_puts_nothing_else_into_its_queue(empty_config: AppConfig, what: str) -> None:
    space = replace(empty_config, limits=SPACE_LIMITS)
    queue = TrainingQueue(space.runs, allow=Policy(space).require_order)
    with pytest.raises(UserError):
        queue.start(Order(REFUSED[what], ("direct",), (0,)))
    assert list(space.runs.path.iterdir()) == []
    Policy(replace(empty_config, paths=True)).require_order(Order(REFUSED[what], ("direct",), (0,)))


@pytest.mark.parametrize("name", ALLOWED)
def test_a_space_trains_what_it_offers(empty_config: AppConfig, name: str) -> None:
    recipe = load_recipe(name).changed({"train.epochs": 5})
    Policy(replace(empty_config, limits=SPACE_LIMITS)).require_order(Order(recipe, ("dait",), (3,)))


def test_weights_that_pip_installs_are_for_everybody(empty_config: AppConfig) -> None:
    photos = load_recipe("photos")
    for config in (empty_config, replace(empty_config, limits=SPACE_LIMITS)):
        policy = Policy(config)
        policy.require_teacher(photos.teacher.name)
        for spec in (photos.student, photos.intermediate):
            policy.require_network(spec)


def test_a_server_for_others_trains_what_is_there(empty_config: AppConfig, tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    config = replace(empty_config, data={"birds": tmp_path / "birds"})
    for source, here in ((tmp_path / "birds", True), (tmp_path, False)):
        recipe = TINY.changed({"data.source": str(source), "train.epochs": 300})
        recipe = recipe.changed({"teacher.name": "imagenet-lite0"})
        order = Order(recipe, ("direct",), (0, 1, 2))
        if here:
            Policy(config).require_order(order)
        else:
            with pytest.raises(UserError, match="not offered here"):
                Policy(config).require_order(order)


def test_the_table_in_the_docs_is_the_one_that_is_tested() -> None:
    assert rules_table() in (PROJECT / "docs" / "spaces.md").read_text(encoding="utf-8")
    assert [rule.name for rule in RULES] == list(ATTEMPTS)


@dataclass(frozen=True)
class Space:
    """A served Space. asked_outside: connections that it made to anywhere else."""

    visitor: Visitor
    runs: Path
    asked_outside: list[str]
    folder: Path
    running: str

    @property
    def files(self) -> set[str]:
        """What lies in the runs folder."""
        files = [f for f in self.runs.rglob("*") if f.is_file() and f.name != ".queue.lock"]
        return {str(file.relative_to(self.runs)) for file in files}

    @property
    def processes(self) -> set[int]:
        return {process.pid for process in psutil.Process().children(recursive=True)}

    def refuses(self, sentence: str, act: Callable[[], Any]) -> None:
        """``act`` is answered with a sentence that says this, and nothing comes of it."""
        before, running = self.files, self.processes
        found = act()
        said = found if isinstance(found, str) else json.dumps(found)
        assert sentence in said, said[:2000]
        assert "Traceback" not in said and "/etc" not in said
        assert self.files == before and self.processes <= running
        assert self.asked_outside == []

    def starts(self, **values: Any) -> Any:
        """``/start``, with its defaults but for ``values``."""
        requested = {"recipe": "tiny", "data": "", "arms": ["direct"], "seeds": 1, "first_seed": 0}
        requested |= {"epochs": 2, "student": "", "intermediate": "", "teacher": ""} | values
        return self.visitor.calls("start", *requested.values())[1]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory, tiny_study: Path) -> Iterator[Space]:
    """With studies of its operator, two of which train, and as many uploads as are kept."""
    folder = tmp_path_factory.mktemp("space")
    root = RunsRoot(folder / "runs")
    stopped = StudyFolder(root.path / "tiny-20260101-120000-00000001")
    stopped.write_status(state="stopped", arms=["dait"], seeds=[0, 1, 2])
    (stopped.path / "recipe.yaml").write_text(TINY.changed({"train.epochs": 300}).to_yaml())
    shutil.copytree(tiny_study, root.path / "looked-20260101-120000-00000002")
    described = root.path / "looked-20260101-120000-00000002" / "study.json"
    told = json.loads(described.read_text())
    told["recipe"]["teacher"]["name"] = "openclip:ViT-B-32/laion2b_s34b_b79k"
    described.write_text(json.dumps(told))
    (root.path / "data").mkdir()
    for number in range(SPACE_LIMITS.archives):
        with zipfile.ZipFile(root.path / "data" / f"photos-{number}.zip", "w") as archive:
            archive.writestr("a/1.txt", "none")
    trainers = [_trainer(root, number) for number in range(2)]
    requested: list[str] = []
    with _watched_door(requested) as door:
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), door)
        own = {"NO_PROXY": "127.0.0.1,localhost", "SPACE_ID": "someone/studio"}
        bound = {"GRADIO_SERVER_NAME": "127.0.0.1"}
        try:
            with served(root.path, **proxies, **own, **bound) as address:
                yield Space(Visitor(address), root.path, requested, folder, "atwork-0")
        finally:
            for trainer in trainers:
                trainer.kill()
                trainer.wait()


class _watched_door:  # noqa: N801 - used as a function
    """A proxy that lets nobody through and notes who came."""

    def __init__(self, came: list[str]) -> None:
        self._came = came

    def __enter__(self) -> str:
        self._door = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._watch, daemon=True).start()
        return f"http://127.0.0.1:{self._door.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._door.close()

    def _watch(self) -> None:
        while True:
            try:
                caller, _ = self._door.accept()
            except OSError:
                return
            with caller:
                caller.settimeout(5)
                self._came.append(caller.recv(500).decode(errors="replace").splitlines()[0])


def _trainer(root: RunsRoot, number: int) -> subprocess.Popen[bytes]:
    """A study that trains, so that whatever else is started waits."""
    words = [sys.executable, "-c", "import time; time.sleep(3000)"]
    process = subprocess.Popen(words, start_new_session=True)
    study = StudyFolder(root.path / f"atwork-{number}")
    study.write_status(
        state="training", arms=["direct"], seeds=[0], pid=process.pid, started=time.time() + 1
    )
    (study.path / "recipe.yaml").write_text(TINY.to_yaml())
    write_ticket(study, pid=process.pid, started=time.time() + 1)
    return process


def data_set_to_download(space: Space) -> None:
    for act in (
        lambda: space.starts(recipe="paper-cub", arms=["dait"], epochs=5),
        lambda: space.visitor.presses("start", "click", recipe="paper-cub", epochs=5),
        lambda: space.visitor.presses("estimate", "click", recipe="paper-cub", epochs=5),
    ):
        space.refuses("is not on this machine", act)
    space.refuses("Choose the data", lambda: space.starts(data="cub-200-2011"))
    listed = "not in the list"  # Gradio looks first
    space.refuses(listed, lambda: space.visitor.presses("read-data", "click", source="food-101"))


def path_of_the_machine(space: Space) -> None:
    for value in ("path:/etc", "/etc", "hf:owner/name", "folder:../..", "upload:../x.zip"):
        space.refuses("Choose", lambda value=value: space.starts(data=value))
    typed = {"data_path": "/etc"}
    space.refuses("Choose", lambda: space.visitor.presses("data-path", "submit", **typed))


def teacher(space: Space) -> None:
    for name in ("openclip:ViT-B-32/laion2b_s34b_b79k", "openclip-local:/etc", "timm:resnet50"):
        space.refuses("Choose the teacher", lambda name=name: space.starts(teacher=name))
    by_recipe = {"recipe": "paper-cub", "data": "fieldguide"}
    space.refuses("too large", lambda: space.starts(**by_recipe))


def pretrained(space: Space) -> None:
    by_recipe = {"recipe": "paper-cub", "data": "fieldguide", "teacher": "fieldguide-clip"}
    space.refuses("pretrained weights of resnet18", lambda: space.starts(**by_recipe))


def network(space: Space) -> None:
    space.refuses("Choose the network", lambda: space.starts(student="vit_huge_patch14_224"))


def recipe_file(space: Space) -> None:
    for number, text in enumerate(("extends: /etc/passwd", "extends: paper-cub")):
        file = space.folder / f"{number}.yaml"
        file.write_text(text)
        sent = {"recipe_load": space.visitor.uploads(file)}
        space.visitor.presses("recipe-load", "upload", **sent)
        press = {"recipe": "loaded", "epochs": 2}
        space.refuses(
            "not in the list",  # it was not loaded
            lambda press=press: space.visitor.presses("start", "click", **press),
        )
    space.refuses("Choose a recipe", lambda: space.starts(recipe="/etc/passwd"))


def epochs(space: Space) -> None:
    for value in (6, 1e300, float("1e9"), -1, "5"):
        space.refuses("from 1 to 5", lambda value=value: space.starts(epochs=value))


def seeds(space: Space) -> None:
    space.refuses("from 1 to 1", lambda: space.starts(seeds=2))


def again(space: Space) -> None:
    picked = {"study": "tiny-20260101-120000-00000001"}
    space.visitor.presses("studies", "click", about=picked)
    for button in ("run-resume", "run-retry"):
        space.refuses(
            "Duplicate this Space", lambda button=button: space.visitor.presses(button, "click")
        )


def waiting(space: Space) -> None:
    for _ in range(SPACE_LIMITS.waiting):
        assert space.starts()["state"] == "queued"
    space.refuses("3 studies are waiting already", space.starts)


def estimate(space: Space) -> None:
    requested = {"teacher": "fieldguide-clip", "epochs": 600}
    space.refuses("from 1 to 5", lambda: space.visitor.presses("estimate", "click", **requested))


def push(space: Space) -> None:
    page = space.visitor.http.get("/config").text
    assert "train-export-ask" in page and "train-export-hub" not in page


def sweep(space: Space) -> None:
    requested = {"recipe": "tiny", "epochs": 2, "sweep_setting": "train.mixup"}
    space.refuses(
        "no sweep is trained here",
        lambda: space.visitor.presses("sweep-start", "click", **requested),
    )


def advice(space: Space) -> None:
    requested = {"teacher": "fieldguide-clip", "epochs": 600}
    space.refuses("from 1 to 5", lambda: space.visitor.presses("advice-ask", "click", **requested))


def stop(space: Space) -> None:
    answered, found = space.visitor.calls("stop", space.running)
    assert answered and found["state"] == "stopped", found


def tidy(space: Space) -> None:
    one = next(study for study in space.visitor.calls("status", "")[1] if study["place"] == 1)
    space.refuses("is not possible", lambda: space.visitor.calls("stop", one["study"])[1])
    space.visitor.presses("studies", "click", about={"study": space.running})
    space.refuses("not possible", lambda: space.visitor.presses("run-delete", "click"))
    renamed = {"name": "Mine"}
    space.refuses("is not possible", lambda: space.visitor.presses("name-save", "click", **renamed))
    space.refuses("Nothing is deleted", lambda: space.visitor.presses("run-undo", "click"))


def upload(space: Space) -> None:
    file = space.folder / "more.zip"
    shutil.copy(space.runs / "data" / "photos-0.zip", file)
    sent = {"data_upload": space.visitor.uploads(file)}
    space.refuses(
        "5 uploads already", lambda: space.visitor.presses("data-upload", "upload", **sent)
    )


def delete_upload(space: Space) -> None:
    chosen = {"source": "upload:photos-1.zip"}
    space.visitor.presses("really-delete", "click", **chosen)
    assert not (space.runs / "data" / "photos-1.zip").exists()
    assert (space.runs / "data" / "photos-0.zip").exists()


def photographs(space: Space) -> None:
    photo = space.visitor.uploads(PROJECT / "tests" / "app" / "visitor.py")
    requested = ["demo", [photo] * 201]
    space.refuses("at most 200", lambda: space.visitor.calls("predict", *requested)[1])


def file_by_address(space: Space) -> None:
    for address in ("http://example.org/a.jpg", "https://huggingface.co/x/resolve/main/a.jpg"):
        requested = ["demo", [file_named(address)]]
        space.refuses(
            "not fetched from web addresses",
            lambda requested=requested: space.visitor.calls("predict", *requested)[1],
        )
    answered, _ = space.visitor.calls("predict", "demo", [file_named("/etc/passwd")])
    assert not answered


def download_student(space: Space) -> None:
    bundles = Bundles(AppConfig(RunsRoot(space.runs), limits=SPACE_LIMITS))
    assert ("DAIT, seed 0", "dait-s0") in bundles.runs("demo")
    for study, run in (("demo", "dait-s1"), ("demo", "../demo/dait-s0"), ("../runs", "dait-s0")):
        with pytest.raises(UserError):
            bundles.task(study, run)
    with pytest.raises(UserError, match="finished run"):
        bundles.task("tiny-20260101-120000-00000001", "dait-s0")  # it is stopped


def page_for_a_phone(space: Space) -> None:
    config = AppConfig(RunsRoot(space.runs), limits=SPACE_LIMITS, paths=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAIT_CACHE", str(space.folder / "cache without a runtime"))
        with pytest.raises(UserError, match="not got for visitors"):
            Bundles(config).task("demo", "dait-s0", PAGE)


def outside_the_queue(space: Space) -> None:
    for way in ("run", "api"):
        posted = {"data": ["tiny"]}
        answer = space.visitor.http.post(f"/gradio_api/{way}/start", json=posted)
        assert answer.status_code == 404


def anything_else_downloaded(space: Space) -> None:
    Image.new("RGB", (60, 40), (12, 200, 34)).save(space.folder / "photo.png")
    photo = space.visitor.uploads(space.folder / "photo.png")
    looked = "looked-20260101-120000-00000002"
    answered, found = space.visitor.calls("predict", looked, [photo])
    assert answered and found["images"], found
    assert "forbids to download" in found["left_out"][0]
    assert space.asked_outside == []


ATTEMPTS: dict[str, Callable[[Space], None]] = {
    "data-set-to-download": data_set_to_download,
    "path-of-the-machine": path_of_the_machine,
    "teacher": teacher,
    "pretrained": pretrained,
    "network": network,
    "recipe-file": recipe_file,
    "epochs": epochs,
    "seeds": seeds,
    "sweep": sweep,
    "again": again,
    "waiting": waiting,
    "estimate": estimate,
    "advice": advice,
    "stop": stop,
    "tidy": tidy,
    "upload": upload,
    "delete-upload": delete_upload,
    "photographs": photographs,
    "download-student": download_student,
    "page-for-a-phone": page_for_a_phone,
    "push": push,
    "file-by-address": file_by_address,
    "outside-the-queue": outside_the_queue,
    "anything-else-downloaded": anything_else_downloaded,
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_space_allows_what_its_table_says(space: Space, rule: Any) -> None:
    ATTEMPTS[rule.name](space)
