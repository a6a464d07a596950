"""scripts/backup and scripts/restore, on a server that works on meanwhile."""
import subprocess
import sys
import threading

import pytest

from aof_files import AOF, loaded
from harness.process import ROOT, larder_binary


def script(name, *args, good=True):
    done = subprocess.run([sys.executable, ROOT / "scripts" / name, "--server", larder_binary(), *map(str, args)],
                          capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == good, done.stdout + done.stderr
    return done.stdout if good else done.stderr


@pytest.mark.parametrize("method", ["rdb", "aof"])
def test_there_and_back(start_server, tmp_path, method):
    server = start_server(*(AOF if method == "aof" else ()))
    target, stop = tmp_path / "backups", threading.Event()
    with loaded(server) as client, loaded(server) as busy:
        client.load(["SET", f"key:{i}", "v" * 100] for i in range(5000))

        def work():
            while not stop.is_set():
                busy.load(["MULTI"] if i == 0 else ["EXEC"] if i == 9 else ["INCR", f"n{i}"] for i in range(10))
                if method == "aof":
                    busy.command("BGREWRITEAOF")

        worker = threading.Thread(target=work)
        worker.start()
        try:
            backups = [script("backup", "--port", server.port, "--keep", 2, target).strip() for _ in range(2)]
        finally:
            stop.set()
            worker.join()
        assert all(f".{method}.tar.gz" in backup for backup in backups)
    assert not list(server.directory.glob("backup-*")) and not list(target.glob(".*"))
    own = tmp_path / "restored"
    assert "restored" in script("restore", backups[-1], own)
    again = start_server(*AOF if method == "aof" else (), directory=own)
    with loaded(again) as client:
        assert client.command("GET", "key:4999") == b"v" * 100 and client.command("DBSIZE") == 5008
        assert len({client.command("GET", f"n{i}") for i in range(1, 9)}) == 1, "a transaction was cut in two"
    assert again.stop() == 0
    assert "would be replaced" in script("restore", backups[-1], own, good=False)
    script("restore", "--force", backups[-1], own)


def test_rotation_and_damage(start_server, tmp_path):
    server = start_server()
    target = tmp_path / "backups"
    with loaded(server) as client:
        client.command("SET", "k", "v")
        target.mkdir()
        for i in range(4):
            (target / f"larder-{server.port}-2020010{i}T000000.rdb.tar.gz").write_bytes(b"old")
        newest = script("backup", "--port", server.port, "--keep", 3, target).strip()
    assert len(list(target.glob("*.rdb.tar.gz"))) == 3
    broken = tmp_path / "broken.rdb.tar.gz"
    data = bytearray(open(newest, "rb").read())
    data[len(data) // 2] ^= 0xFF
    broken.write_bytes(data)
    script("restore", broken, tmp_path / "other", good=False)
    assert not list((tmp_path / "other").iterdir())
