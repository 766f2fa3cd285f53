"""The real servers and the data that several test files share; each starts or is looked for when a test asks for it."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

from deploy.collecting import set_aside
from deploy.servers import helm_tools
from deploy.servers.base import LoopbackServer
from deploy.servers.gige import camera_available
from deploy.servers.kafka import KafkaServer
from deploy.servers.mosquitto import MosquittoServer
from deploy.servers.redis import RedisServer
from deploy.servers.rtsp import rtsp_available
from ingest.rendering.conveyor import ConveyorSettings, write_dataset
from shared.errors import ServerError
from tests.plates import write_plates

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that lets tests write the pictures that the documentation shows."""
    parser.addoption("--write-pictures", action="store_true", help="renew the pictures of pages in docs/images")


def pytest_collection_finish() -> None:
    """Never look for cycles again in what was collected: hundreds of megabytes of modules, all of which stay."""
    set_aside()


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """Let no test log where another one's command did: that file is closed by then."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def kafka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real broker: the user's in TEST_KAFKA_URL, else one of our own for the whole session."""
    yield from _served("TEST_KAFKA_URL", KafkaServer(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real Redis: the user's in TEST_REDIS_URL, else one of our own for the whole session."""
    yield from _served("TEST_REDIS_URL", RedisServer(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def mqtt_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real MQTT broker: the user's in TEST_MQTT_URL, else one of our own for the session."""
    yield from _served("TEST_MQTT_URL", MosquittoServer(tmp_path_factory.mktemp("mosquitto")))


@pytest.fixture(scope="session")
def rtsp() -> None:
    """Make sure that an RTSP server can be started here."""
    problem = rtsp_available()
    if problem is not None:
        _missing(problem)


@pytest.fixture(scope="session")
def aravis() -> None:
    """Make sure that Aravis, its Python binding and its software camera are here."""
    problem = camera_available()
    if problem is None:
        try:
            importlib.import_module("ingest.sources.gige.aravis")
        except (ImportError, ValueError) as error:
            problem = f"Aravis cannot be used from Python ({error})"
    if problem is not None:
        _missing(problem)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Give the browser's program."""
    program = shutil.which("chromium")
    if program is None:
        _missing("the program chromium is missing: deploy/install-servers.sh installs it")
    return Path(program)


@pytest.fixture(scope="session")
def helm() -> Path:
    """Give Helm, once it and the definitions that charts are checked by are there."""
    try:
        helm_tools.definition("ScaledObject")
        helm_tools.definition("ServiceMonitor")
        return helm_tools.helm_program()
    except ServerError as error:
        _missing(str(error))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Give the folder of pictures beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("there is no folder ../shared/data beside the checkout")
    return folder


@pytest.fixture(scope="session")
def lite_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the `lite` model on rendered good parts of the default conveyor, once for the whole session."""
    folder = tmp_path_factory.mktemp("lite")
    write_dataset(folder / "parts", ConveyorSettings(), train_good=80, test_good=0, test_each_defect=0)
    # Torch is loaded only by the tests that need a model; one thread, as in the detector.
    importlib.import_module("torch").set_num_threads(1)
    fit = importlib.import_module("detector.training.fit")
    fit.train([folder / "parts"]).save(folder / "model")
    return folder / "model"


def _served(variable: str, server: LoopbackServer) -> Iterator[str]:
    given = os.environ.get(variable)
    if given:
        yield given
        return
    try:
        server.start()
    except ServerError as error:
        _missing(str(error))
    yield server.url
    server.stop()


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"in CI every server must be there: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def exported_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small `lite` model on plates, and export it for OpenVINO and ONNX, once for the whole session."""
    folder = tmp_path_factory.mktemp("exported")
    plates = write_plates(folder / "plates", 16)
    # Torch is loaded only by the tests that need a model; one thread, as in the detector.
    importlib.import_module("torch").set_num_threads(1)
    importlib.import_module("detector.training.fit").train([plates]).save(folder / "model")
    export = importlib.import_module("detector.export.exporting").export
    for engine in ("openvino", "onnx"):
        export(folder / "model", engine, good=[plates])
    return folder / "model"
