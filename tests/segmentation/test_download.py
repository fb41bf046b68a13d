"""Stock weights that are not here: fetched whole, or a clear error, never another model."""

import http.server
import ssl
import threading

import pytest
import torch

from segmentation import download
from segmentation.catalogue import ModelError, models_directory, weights_file
from segmentation.download import download_stock, retrieve
from segmentation.models import load_model


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "models"))


def _left_behind():
    return list(models_directory().rglob("*")) if models_directory().exists() else []


def test_offline_says_what_was_tried_and_where_to_put_the_file(monkeypatch):
    tried = []

    def offline(url, path):
        tried.append(url)
        raise OSError("Network is unreachable")

    monkeypatch.setattr(download, "retrieve", offline)
    with pytest.raises(ModelError, match="Network is unreachable") as error:
        load_model("cpsam_v2", gpu=False)
    assert len(tried) == 1
    assert tried[0].endswith("/cpsam_v2")
    assert tried[0] in str(error.value)
    assert str(models_directory() / "cpsam_v2") in str(error.value)
    assert _left_behind() == []


def test_an_unknown_name_downloads_nothing(monkeypatch):
    monkeypatch.setattr(download, "retrieve", lambda url, path: pytest.fail("downloaded"))
    with pytest.raises(ModelError, match="no model"):
        load_model("cyto3", gpu=False)


def test_what_is_not_the_model_is_not_kept(monkeypatch):
    monkeypatch.setattr(
        download, "retrieve", lambda url, path: path.write_bytes(b"<html>log in to the hotel")
    )
    with pytest.raises(ModelError, match="cpsam"):
        download_stock("cpsam")
    assert _left_behind() == []
    assert weights_file("cpsam") is None


def test_a_checked_file_gets_its_name(monkeypatch):
    def arrives(url, path):
        torch.save({"W2": torch.ones(1)}, path)

    monkeypatch.setattr(download, "retrieve", arrives)
    monkeypatch.setattr(download, "check_state", lambda *args, **kwargs: None)
    assert download_stock("cpsam") == models_directory() / "cpsam"
    assert weights_file("cpsam") is not None
    assert _left_behind() == [models_directory() / "cpsam"]


class _Breaking(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000" if self.path == "/broken" else "400")
        self.end_headers()
        self.wfile.write(b"x" * 400)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = http.server.HTTPServer(("127.0.0.1", 0), _Breaking)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_whole_file_arrives(server, tmp_path):
    retrieve(f"{server}/whole", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"x" * 400


def test_a_connection_that_breaks_is_an_error(server, tmp_path):
    with pytest.raises(OSError, match="400 of 1000"):
        retrieve(f"{server}/broken", tmp_path / "file")


def test_certificates_stay_checked(server, tmp_path):
    before = ssl._create_default_https_context
    retrieve(f"{server}/whole", tmp_path / "file")
    assert ssl._create_default_https_context is before
