"""A running service and its client."""

import pytest
from toy_service import Model


@pytest.fixture
def service(tmp_path):
    pytest.importorskip("fastapi", reason="extra 'hospital'")
    pytest.importorskip("huey", reason="extra 'hospital'")
    from plainfilm.serve.app import Service

    model = Model()
    made = Service(tmp_path / "service", lambda: model, hosts=("testserver",))
    made.model = model
    return made


@pytest.fixture
def client(service):
    """Return a client of the running service, with a token of ``tester``'s."""
    pytest.importorskip("httpx", reason="the tests' own client")
    from fastapi.testclient import TestClient

    from plainfilm.serve.access import make_token
    from plainfilm.serve.app import make_app

    token = make_token(service.folder, "tester")
    with TestClient(make_app(service), headers={"Authorization": f"Bearer {token}"}) as made:
        yield made
