"""Which engine a model runs in, and what is refused: exports that are missing, foreign, damaged or failed."""

from __future__ import annotations

import builtins
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tomli_w

from detector.export import exporting
from detector.export.folder import FACTS, check_export, exported
from detector.export.gate import Parity
from detector.model.artifact import read
from detector.model.artifact_files import CHECKSUMS, checksum_list, refuse_to_lose
from detector.runtime import making
from detector.runtime.checks import finite
from detector.runtime.compiled import CompiledEngine
from detector.runtime.lanes import Lanes
from detector.runtime.making import load_with
from shared.errors import ConfigError, DataError, EngineError
from shared.settings import from_dict
from tests.plates import plate, write_plates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.runtime.base import Engine

ROOT = Path(__file__).parents[2]
ALIKE = Parity("plates", "labelled", 40, 1.0, 0.98, 0.0, 0.5, 0.0, 0.0)


@pytest.fixture
def model(exported_model: Path, tmp_path: Path) -> Path:
    """Copy the exported model, to be spoilt."""
    shutil.copytree(exported_model, tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder: Path, **changes: object) -> None:
    """Change facts of an export, and make its checksums fit."""
    facts = tomllib.loads((folder / FACTS).read_text())
    (folder / FACTS).write_text(tomli_w.dumps({**facts, **changes}))
    names = tuple(sorted(path.name for path in folder.iterdir() if path.name != CHECKSUMS))
    (folder / CHECKSUMS).write_text(checksum_list(folder, names))


def test_a_detector_starts_and_judges_without_torch(exported_model: Path) -> None:
    """A fresh process with the role's own build: no torch, no statistics package, and less memory than 600 MiB."""
    code = f"""
import sys
from types import SimpleNamespace
import numpy as np, psutil
import deploy.roles.detector as role
from shared.settings import from_dict
detector = {{"model": {str(exported_model)!r}, "engine": "auto", "evidence": {{"shelf_mib": 0}}}}
settings = from_dict({{"detector": detector}})
adapters = SimpleNamespace(plan=None, bus=None, payloads=None, clock=None, store=SimpleNamespace())
service = role.build(settings, adapters)
service._model.inspect([np.zeros((480, 640, 3), np.uint8)])
loaded = [name for name in ("torch", "open_clip", "timm", "scipy", "sklearn") if name in sys.modules]
print(service._model.engine.name, loaded, psutil.Process().memory_info().rss < 600 * 2**20)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] in (["openvino [] True"], ["onnx [] True"]), done.stderr


def test_a_named_engine_without_an_export_says_how_to_make_it(model: Path) -> None:
    """And a model that was never exported runs on torch by itself."""
    with pytest.raises(EngineError, match=r"not exported for the engine openvino-bf16.*linewarden export"):
        load_with(model, engine="openvino-bf16")
    shutil.rmtree(model / "engines")
    with pytest.raises(EngineError, match="not exported for the engine openvino"):
        load_with(model, engine="openvino")
    assert load_with(model).engine.name == "torch"


def test_an_export_of_another_model_is_refused(model: Path) -> None:
    """A model that was trained anew does not run in its predecessor's graph."""
    rewrite(model / "engines" / "openvino", model_id="lite-000000000000")
    with pytest.raises(EngineError, match=r"is of lite-000000000000 for openvino, the model is lite-"):
        load_with(model, engine="openvino")
    assert load_with(model).engine.name == "onnx"


@pytest.mark.parametrize("name", ["graph.bin", "graph.xml", "engine.toml", "checksums.txt"])
def test_a_damaged_export_is_refused(model: Path, name: str) -> None:
    """Whichever of its files was changed, or is gone."""
    path = model / "engines" / "openvino" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(EngineError, match="export"):
        load_with(model, engine="openvino")
    path.unlink()
    with pytest.raises(EngineError, match="export"):
        load_with(model, engine="openvino")


def test_a_graph_that_openvino_cannot_read_is_an_error_with_a_remedy(model: Path) -> None:
    """Its own exceptions do not come through."""
    folder = model / "engines" / "openvino"
    (folder / "graph.xml").write_text("<net/>")
    rewrite(folder)
    with pytest.raises(EngineError, match="Export the model again"):
        load_with(model, engine="openvino")
    (model / "engines" / "onnx" / "graph.onnx").write_bytes(b"nothing")
    rewrite(model / "engines" / "onnx")
    with pytest.raises(EngineError, match="Export the model again"):
        load_with(model, engine="onnx")


def test_an_export_that_failed_its_gate_is_refused_at_load(model: Path) -> None:
    """What it says of itself is read again: a bound that was made stricter holds for old exports too."""
    folder = model / "engines" / "openvino"
    bad = {**ALIKE.numbers(), "image_auroc_lost": 0.3}
    rewrite(folder, parity=[ALIKE.numbers(), bad])
    with pytest.raises(EngineError, match=r"failed its gate: on plates it loses 0.30 points of image AUROC"):
        check_export(model, read(model).model_id, "openvino")
    rewrite(folder, parity=[])
    with pytest.raises(EngineError, match="none was run"):
        check_export(model, read(model).model_id, "openvino")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"image_auroc_lost": 0.19}, None),
        ({"image_auroc_lost": -3.0, "pixel_ap_lost": -3.0}, None),
        ({"pixel_ap_lost": None}, None),
        ({"image_auroc_lost": 0.21}, "image AUROC"),
        ({"pixel_ap_lost": 0.21}, "pixel AP"),
        ({"rank_correlation": 0.99}, "rank correlation"),
        ({"rank_correlation": float("nan")}, "no number"),
        ({"good_score_moved": 0.2}, "scores of good pictures"),
    ],
)
def test_the_gate_names_what_an_engine_loses(changes: dict[str, Any], problem: str | None) -> None:
    """Each bound by itself; an engine that is better than the reference passes."""
    found = Parity.from_numbers(
        {**ALIKE.numbers(), **{key: value for key, value in changes.items() if value is not None}}
    )
    found = Parity(**{**{name: getattr(found, name) for name in Parity.__slots__}, **changes})
    said = found.problem("openvino")
    assert said is None if problem is None else said is not None and problem in said


def test_int8_may_lose_more_than_float32() -> None:
    """Half a point."""
    parity = Parity("plates", "labelled", 40, 0.99, 0.98, 0.4, 0.5, 0.4, 0.0)
    assert parity.problem("openvino-int8") is None
    assert parity.problem("openvino") is not None


class BlindEngine:
    """Sees in every picture what the reference sees in the one before: its scores mean nothing."""

    name = "openvino"

    def __init__(self, inner: Engine) -> None:
        self.lanes = Lanes()
        self._inner = inner
        self.search = inner.search

    def sight(self, _view: object, _settings: object) -> None:
        """Do each step by itself."""

    def settle(self) -> None:
        """Make nothing beside."""

    def see(self, canvases: Sequence[Any]) -> list[Any]:
        """Look at the canvas upside down and in negative."""
        return self._inner.see([np.ascontiguousarray(-canvas[::-1]) for canvas in canvases])


def test_an_engine_that_judges_otherwise_is_not_kept(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says by how much, and nothing is left beside the model."""
    shutil.rmtree(model / "engines")
    plates = write_plates(model.parent / "more", 6)
    real = making.open_exported
    monkeypatch.setattr(exporting, "open_exported", lambda *args, **options: BlindEngine(real(*args, **options)))
    with pytest.raises(EngineError, match="does not judge as the reference does, and was not kept"):
        exporting.export(model, "openvino", good=[plates])
    assert not (model / "engines").exists()


def test_an_export_without_pictures_is_refused(model: Path) -> None:
    """There would be nothing to measure it on."""
    with pytest.raises(DataError, match="Give --good FOLDER"):
        exporting.export(model, "openvino")
    with pytest.raises(ConfigError, match="nothing is exported for an engine 'torch'"):
        exporting.export(model, "torch", good=[model])


def test_a_model_may_be_overwritten_with_its_exports(model: Path, tmp_path: Path) -> None:
    """They count as its own; anything else in the folder keeps it from being touched."""
    refuse_to_lose(model, overwrite=True)
    with pytest.raises(ConfigError, match="there is a model"):
        refuse_to_lose(model, overwrite=False)
    (model / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="other things"):
        refuse_to_lose(model, overwrite=True)
    assert tmp_path.is_dir()


def test_the_checksums_of_the_model_do_not_change_by_an_export(exported_model: Path) -> None:
    """Its id is that of what was trained: exports come and go."""
    assert exported(exported_model) == ["openvino", "onnx"]
    assert read(exported_model).model_id == read(exported_model).model_id
    assert "engines" not in (exported_model / "checksums.txt").read_text()


@pytest.mark.parametrize(("package", "engine"), [("openvino", "openvino"), ("onnxruntime", "onnx")])
def test_an_engine_whose_package_is_missing_names_it(
    exported_model: Path, monkeypatch: pytest.MonkeyPatch, package: str, engine: str
) -> None:
    """And what to install; `auto` takes another."""
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the import has it
        if name.split(".", maxsplit=1)[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(name, *args, **options)

    for module in [
        name for name in sys.modules if name.startswith(("detector.runtime.openvino", "detector.runtime.onnx"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EngineError, match=rf"needs the package '{package}'.*pip install"):
        load_with(exported_model, engine=engine)
    assert load_with(exported_model).engine.name != engine


def test_the_fastest_engine_is_chosen(exported_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what each takes here; with one engine alone nothing is measured."""
    times = {"openvino": 9.0, "onnx": 4.0}
    monkeypatch.setattr(making, "_picture_ms", lambda model, *_rest: times[model.engine.name])
    assert load_with(exported_model).engine.name == "onnx"
    times["onnx"] = 20.0
    assert load_with(exported_model).engine.name == "openvino"


def test_the_benchmark_takes_the_least_of_several_turns(exported_model: Path) -> None:
    """The clock is the caller's: each turn reads it twice, and what warms up does not count."""
    ticks = iter(range(0, 10**12, 3_000_000))
    assert making._picture_ms(load_with(exported_model, engine="openvino"), 1, lambda: next(ticks), _NoLog()) == 3.0  # type: ignore[arg-type]


class _NoLog:
    """Takes any event."""

    def info(self, *_args: object, **_fields: object) -> None:
        """Drop it."""


def test_patches_that_are_no_numbers_are_an_error() -> None:
    """However few of them there are."""
    patches = np.ones((4, 4, 3), dtype=np.float32)
    assert finite(patches, "torch") is patches
    for wrong in (np.nan, np.inf):
        patches[2, 1, 0] = wrong
        with pytest.raises(EngineError, match="no numbers"):
            finite(patches, "torch")


def test_onnx_names_a_provider_that_is_not_there(exported_model: Path) -> None:
    """A build without CUDA does not quietly run on the CPU."""
    with pytest.raises(EngineError, match="no CUDAExecutionProvider"):
        load_with(exported_model, engine="onnx", providers=("cuda",))


def test_the_settings_know_the_engines() -> None:
    """One that does not exist is refused with those that do."""
    assert from_dict({"detector": {"engine": "openvino-int8"}}).detector.engine == "openvino-int8"
    with pytest.raises(ConfigError, match=r"detector\.engine"):
        from_dict({"detector": {"engine": "tensorflow"}})
    with pytest.raises(ConfigError, match="there is no engine"):
        load_with(Path(), engine="tensorflow")


def test_the_compiled_engine_hands_its_options_to_the_compiler(exported_model: Path) -> None:
    """And a tower that fails is an error of the engine."""
    stored = read(exported_model)
    asked: dict[str, object] = {}

    def failing(_graph: object, **options: object) -> Any:  # noqa: ANN401 - as torch.compile has it
        asked.update(options)

        def run(_batch: object) -> None:
            raise RuntimeError("no kernel")

        return run

    engine = CompiledEngine(stored.tower(), stored.settings, device="cpu", compile_with=failing)
    assert asked == {"mode": "default", "dynamic": False}
    with pytest.raises(EngineError, match="the compiled tower failed: no kernel"):
        engine.see([np.zeros((64, 64, 3), dtype=np.float32)])


def test_lanes_keep_the_order_and_raise_the_first_error() -> None:
    """Several at a time, in threads that know that they are not alone; a lane does not wait for lanes."""
    lanes = Lanes(2)
    assert lanes.each(lambda value: (value * 2, lanes.inside), [1, 2, 3]) == [(2, True), (4, True), (6, True)]
    assert lanes.each(lambda _value: lanes.inside, [1]) == [False]
    assert lanes.each(lambda value: lanes.each(lambda inner: inner + value, [1, 2]), [10, 20]) == [[11, 12], [21, 22]]
    with pytest.raises(ZeroDivisionError):
        lanes.each(lambda value: 1 // value, [1, 0])
    assert Lanes(1).each(lambda _value: True, [1, 2]) == [True, True]


def test_a_model_on_two_threads_judges_a_batch_as_on_one(exported_model: Path) -> None:
    """Pictures side by side do not touch each other."""
    pictures = [plate(seed, hole=seed % 2 == 0) for seed in range(300, 306)]
    one, two = (load_with(exported_model, engine="openvino", threads=count).inspect(pictures) for count in (1, 2))
    assert [found.raw_score for found in two] == pytest.approx([found.raw_score for found in one], rel=1e-4)


def test_the_compiled_engine_sees_batches_of_powers_of_two(exported_model: Path) -> None:
    """On a GPU pictures of one size go together, filled up, and each gets its own answer."""
    stored = read(exported_model)
    shapes: list[tuple[int, ...]] = []

    def watching(graph: Any, **_options: object) -> Any:  # noqa: ANN401 - as torch.compile has it
        def run(batch: Any) -> Any:  # noqa: ANN401
            shapes.append(tuple(batch.shape))
            return graph(batch)

        return run

    engine = CompiledEngine(stored.tower(), stored.settings, device="cpu", compile_with=watching)
    canvases = [
        np.random.default_rng(seed).standard_normal((side, 64, 3), dtype=np.float32)
        for seed, side in enumerate((64, 96, 64, 64))
    ]
    alone = [engine.see([canvas])[0].patches for canvas in canvases]
    engine._batches = True
    shapes.clear()
    together = engine.see(canvases)
    assert shapes == [(4, 64, 64, 3), (1, 96, 64, 3)]
    for one, many in zip(alone, together, strict=True):
        assert np.allclose(one, many.patches, atol=1e-4)


def test_openvino_reports_to_nobody() -> None:
    """In a fresh process, its own stub stands where its telemetry would be; nncf's too."""
    code = """
import sys
from detector.runtime.openvino_silent import openvino
import openvino.tools.ovc as ovc
import nncf.telemetry.wrapper as wrapper
sent = [type(ovc.telemetry).__module__, isinstance(wrapper.telemetry, wrapper.NNCFTelemetry)]
print(sent, [name for name in sys.modules if name.startswith("openvino_telemetry.")])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.stdout.strip() == "['openvino.tools.ovc.telemetry_stub', False] []", done.stderr


def test_a_signal_is_heard_after_engines_that_are_gone(exported_model: Path) -> None:
    """In a fresh process, since what it guards against would end this one: the stack for signals outlives engines."""
    code = f"""
import faulthandler, gc, os, signal
from pathlib import Path
from detector.runtime.making import load_with
faulthandler.enable()
first, second = (load_with(Path({str(exported_model)!r}), engine="openvino") for _ in range(2))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
