"""What doctor, init, preview and sensors see of an API, over plain HTTP and TLS."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import adapters.sources.rest
from adapters.sources.polling.source import PollSource
from pipeline.domain.errors import SourceRejected, SourceUnreachable
from pipeline.domain.finding import Finding, Level
from pipeline.domain.stream import StreamSpec
from tests.support.rest_server import Api, Reply, paged, serving, whole
from tests.support.rest_world import OPTIONS

pytestmark = pytest.mark.integration

ORDERS = StreamSpec("orders", "/orders", "crm", read={"unlisted": "ignore"})
BY_HAND = Finding(
    Level.INFO,
    "openapi",
    "the API has no OpenAPI document that tells of lists",
    "source crm",
    "Write streams by hand: a relation such as /orders, and under read its record path, key and paginate.",
)


def source(api: Api, **options: object) -> PollSource:
    return adapters.sources.rest.build("crm", {"url": api.url, **OPTIONS, **options})


def test_an_api_without_a_document_has_nothing_to_discover_and_doctor_says_how_to_go_on(api: Api) -> None:
    api.endpoints["/orders"] = whole([{"id": 1, "note": "x"}])
    assert source(api).discover() == ()
    assert source(api).inspect([ORDERS]) == (
        Finding(Level.OK, "endpoint", "answers; 2 columns, guessed from 1 records", "stream orders"),
        Finding(
            Level.INFO,
            "columns",
            "types are guessed from the first records",
            "stream orders",
            "Declare columns to pin them: a value of another type is set apart as one that does not fit.",
        ),
        BY_HAND,
    )


def test_doctor_tells_what_is_wrong_with_an_endpoint(api: Api) -> None:
    [found, _] = source(api).inspect([ORDERS])
    assert found == Finding(
        Level.ERROR,
        "endpoint",
        f"page 1 of {api.url}/orders answered 404",
        "stream orders",
        "Check url and the relation of the stream: there is no such endpoint.",
    )


def test_an_api_that_is_down_is_unreachable_everywhere() -> None:
    with serving() as api:
        url = api.url
    gone = adapters.sources.rest.build("crm", {"url": url, **OPTIONS})
    with pytest.raises(SourceUnreachable):
        gone.schemas([ORDERS])
    with pytest.raises(SourceUnreachable):
        gone.discover()
    assert [finding.unreachable for finding in gone.inspect([ORDERS])] == [True]


def test_a_preview_reads_no_more_pages_than_it_needs(api: Api) -> None:
    api.endpoints["/orders"] = paged([{"id": number, "note": {"a": number}} for number in range(100)])
    read = {"record": "data", "paginate": {"kind": "page"}, "sample": 10, "flatten": True, "unlisted": "ignore"}
    stream = StreamSpec("orders", "/orders", "crm", read=read)
    assert source(api).preview(stream, limit=3).to_pylist() == [
        {"id": number, "note__a": number} for number in range(3)
    ]
    assert len(api.requests) == 1


def test_a_sensor_sees_by_a_single_page_that_nothing_changed(api: Api) -> None:
    for etag in (False, True):
        rows = [{"id": 1}]
        api.endpoints["/orders"] = whole(rows, etag=etag)
        detector = adapters.sources.rest.build_detector("crm", {"url": api.url, **OPTIONS})
        first = detector.look([ORDERS])
        assert not detector.look([ORDERS], since=first.mark).has_changes
        rows.append({"id": 2})
        assert detector.look([ORDERS], since=first.mark).has_changes
        detector.close()


def test_columns_cannot_be_guessed_from_nothing(api: Api) -> None:
    api.endpoints["/orders"] = whole([])
    with pytest.raises(SourceRejected) as raised:
        source(api).schemas([ORDERS])
    assert "no records yet to guess columns from" in raised.value.what


def test_requests_are_as_far_apart_as_asked_for(api: Api) -> None:
    api.endpoints["/orders"] = paged([{"id": number} for number in range(40)])
    stream = StreamSpec("orders", "/orders", "crm", read={"record": "data", "paginate": {"kind": "page"}})
    started = datetime.now(UTC)
    source(api, interval_s=0.1).schemas([stream])
    assert len(api.requests) == 5
    assert datetime.now(UTC) - started >= timedelta(seconds=0.4)


def test_a_certificate_is_trusted_only_if_its_authority_is(tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(_certificate())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(lambda plain: context.wrap_socket(plain, server_side=True)) as api:
        api.url = api.url.replace("http://", "https://")
        api.endpoints["/orders"] = whole([{"id": 1}])
        with pytest.raises(SourceRejected) as raised:
            source(api).schemas([ORDERS])
        assert "certificate that is not trusted" in raised.value.what
        trusting = source(api, ca_file=str(certificate))
        assert trusting.preview(ORDERS, limit=1).to_pylist() == [{"id": 1}]
        trusting.close()


def test_an_openapi_document_that_is_named_has_to_be_there(api: Api) -> None:
    with pytest.raises(SourceRejected):
        source(api, openapi="/docs/openapi.json").discover()
    api.endpoints["/docs/openapi.json"] = lambda _asked: Reply({"paths": {}})
    assert source(api, openapi="/docs/openapi.json").discover() == ()


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
