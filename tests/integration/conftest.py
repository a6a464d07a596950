"""Fixtures: the real server, and the oracle beside it, each on a free loopback port and in a directory of its own.

A test takes `server` for one of its own, or `module_server` for one that its module shares. What they are started
with is declared by @pytest.mark.server_options(...) on the test, or by SERVER_OPTIONS in the module. Every server
must end with code 0 on SIGTERM, without a sanitizer's report in its log. `client` and `pair` run a test once for
RESP2 and once for RESP3; a module that sets PROTOCOLS = (2,) asks for less.

LARDER_SERVER names another binary, LARDER_ORACLE another redis-server, LARDER_TEST_SEED repeats a random run, and
LARDER_TEST_SCALE (1 by default) shrinks the loads of the long tests, for binaries that are slow on purpose.
LARDER_TEST_PROTOCOLS=one runs each test for one protocol, half of the tests for either.
"""
import os
import random
import signal
import zlib

import pytest

from harness.differential import Pair
from harness import patience
from harness.process import ServerFailed, ServerProcess, larder_binary, oracle_binary, running
from harness.resp import Client


def pytest_generate_tests(metafunc):
    if "protocol" in metafunc.fixturenames:
        protocols = getattr(metafunc.module, "PROTOCOLS", (2, 3))
        if os.environ.get("LARDER_TEST_PROTOCOLS") == "one":
            protocols = [protocols[zlib.crc32(metafunc.function.__name__.encode()) % len(protocols)]]
        metafunc.parametrize("protocol", protocols, ids=[f"resp{p}" for p in protocols], scope="module")


# Workers take whole modules: those that take longest first, so that none is left alone with one in the end.
LONG_MODULES = ("test_aof_faults", "test_long_commands", "test_tls", "test_aof_files", "test_scan",
                "test_many_arguments", "test_differential_lists", "test_long_changes", "test_insight", "test_json_many",
                "test_list_waiting", "test_limits", "test_maxmemory", "test_tracking", "test_differential_streams",
                "test_rdb_encodings", "test_backup", "test_hash_commands", "test_stampede", "test_sort_commands",
                "test_server_commands", "test_set_commands", "test_json_early", "test_config", "test_keys_commands",
                "test_metrics", "test_stream_commands", "test_stream_waiting", "test_json_documents",
                "test_differential_hyperloglog", "test_rdb_saving", "test_rdb_faults", "test_long_operations",
                "test_long_transactions", "test_experiment_tracker", "test_keyspace_notifications", "test_waitaof",
                "test_there_and_back", "test_migrate", "test_defragmentation", "test_json_flowing", "test_redis_tools")


def pytest_collection_modifyitems(items):
    order = {name: number for number, name in enumerate(LONG_MODULES)}
    items.sort(key=lambda item: order.get(item.module.__name__, len(order)))


LONGEST_TEST = 300  # seconds; the longest takes twelve on an idle machine, with a sanitizer
has_failed = pytest.StashKey[bool]()


class TooLong(Exception):
    pass


def _with_alarm(item):
    """A test that waits for ever fails, and says where it does."""
    def give_up(*_):
        patience.lose()
        raise TooLong(f"this takes more than {LONGEST_TEST} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_TEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


pytest_runtest_setup = pytest.hookimpl(hookwrapper=True)(_with_alarm)
pytest_runtest_call = pytest.hookimpl(hookwrapper=True)(_with_alarm)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """After each test what its module shares must be as the next one needs it; after one that failed it is made anew.

    Else one test could make all fail that come after it. What is found out here is reported as an error of that test.
    """
    if call.when == "teardown":
        try:
            _look_after_shared(item, item.stash.get(has_failed, False) or call.excinfo is not None)
        except Exception:
            call.excinfo = pytest.ExceptionInfo.from_current()
    report = (yield).get_result()
    item.stash[has_failed] = item.stash.get(has_failed, False) or report.failed
    if report.failed and call.duration > patience.seconds():
        patience.lose()


def _look_after_shared(item, failed):
    try:
        for server in running():
            if failed:
                server.release()
            else:
                server.check()
    except BaseException:
        failed = True
        raise
    finally:
        if failed:
            try:
                _end_shared(item)
            finally:
                for server in running():  # of a fixture that did not come to its end
                    server.kill()


def _end_shared(item):
    """Ends all fixtures of the module, so that the next test that asks for one begins anew."""
    failures = []
    for definitions in item.session._fixturemanager._arg2fixturedefs.values():
        for definition in definitions:
            if definition.scope == "module" and definition.cached_result is not None:
                try:
                    definition.finish(item._request)
                except Exception as failure:
                    failures.append(failure)
    failures.sort(key=lambda failure: not isinstance(failure, ServerFailed))
    if failures:
        raise failures[0]


@pytest.fixture(scope="session")
def oracle_command(tmp_path_factory):
    binary = oracle_binary(tmp_path_factory.mktemp("oracle"))
    if not binary:
        pytest.skip("no redis-server to compare with: install redis-tools")
    return [binary]


@pytest.fixture(scope="session")
def scale():
    """A function that shrinks a count by LARDER_TEST_SCALE."""
    factor = float(os.environ.get("LARDER_TEST_SCALE", "1"))
    return lambda count: max(1, int(count * factor))


@pytest.fixture
def seed():
    return int(os.environ.get("LARDER_TEST_SEED") or random.randrange(1 << 32))


@pytest.fixture
def start_server(tmp_path):
    """start_server(*options, directory=...) within a test; servers still running at its end are stopped."""
    started = []

    def start(*options, directory=None):
        own = directory or tmp_path / f"server-{len(started)}"
        own.mkdir(exist_ok=True)
        started.append(ServerProcess([larder_binary()], options, own, name="server"))
        return started[-1]

    yield start
    _stop_all(started)


def _stop_all(servers):
    failures = []
    for server in servers:
        if not server.ended_by_us:
            try:
                server.stop_cleanly()
            except ServerFailed as failure:
                failures.append(str(failure))
    if failures:
        raise ServerFailed("\n".join(failures))


@pytest.fixture
def server_options(request):
    marker = request.node.get_closest_marker("server_options")
    return marker.args if marker else getattr(request.module, "SERVER_OPTIONS", ())


@pytest.fixture
def server(start_server, server_options):
    return start_server(*server_options)


def _module_process(request, tmp_path_factory, command, name):
    options = getattr(request.module, "SERVER_OPTIONS", ())
    process = ServerProcess(command, options, tmp_path_factory.mktemp(name), name=name)
    yield process
    if not process.ended_by_us:
        process.stop_cleanly()


@pytest.fixture(scope="module")
def module_server(request, tmp_path_factory):
    yield from _module_process(request, tmp_path_factory, [larder_binary()], "server")


@pytest.fixture(scope="module")
def module_oracle(request, tmp_path_factory, oracle_command):
    yield from _module_process(request, tmp_path_factory, oracle_command, "oracle")


@pytest.fixture(scope="module")
def ports(module_server, module_oracle):
    """Of the module's two servers, for tests that do the same with each."""
    return module_server.port, module_oracle.port


@pytest.fixture
def client(request, protocol):
    """A connection to a server of the test's own; in a module that sets SHARED_SERVER, to the module's, emptied."""
    shared = getattr(request.module, "SHARED_SERVER", False)
    server = request.getfixturevalue("module_server" if shared else "server")
    with Client(server.port, protocol) as connection:
        if shared:
            connection.command("FLUSHALL")
        yield connection


@pytest.fixture
def pair(module_server, module_oracle, protocol):
    """Fresh connections to the module's two servers, emptied."""
    both = Pair(module_server.port, module_oracle.port, protocol)
    both.flush()
    yield both
    both.close()
