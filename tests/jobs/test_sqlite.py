"""What only the file knows of: its host, its disk, its clock, and other processes."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.jobs.contract import Done, Finish, JobsAway, Keep, NewJob, Want
from gateway.jobs.machine import PATIENCE
from gateway.jobs.sqlite import database, disk
from gateway.jobs.sqlite.backup import backup
from gateway.jobs.sqlite.host_lock import WATCH, HostLock, this_host
from gateway.jobs.sqlite.store import SqliteJobs
from gateway.testing import Clock
from tests.jobs.stores import BEGIN

WANT = [Want("email", 100, 3)]


def new(id: str, **more: object) -> NewJob:
    return NewJob(**{"id": id, "type": "email", "payload": {"id": id}, **more})  # type: ignore[arg-type]


async def opened(file: Path, clock: Clock | None = None, **more: HostLock) -> SqliteJobs:
    store = SqliteJobs(file, clock or Clock(BEGIN), **more)
    await store.start()
    return store


# Hosts.


class OtherHost:
    """Writes a sign of life into the lock file, as often as somebody sleeps, `beats` times."""

    def __init__(self, file: Path, beats: int) -> None:
        self.lock = file.with_name(f"{file.name}.host")
        self.lock.write_text("another-host")
        self.beats = beats
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self.beats:
            self.beats -= 1
            now = self.lock.stat().st_mtime_ns + 1
            self.lock.touch()
            assert self.lock.stat().st_mtime_ns >= now - 1


def test_processes_of_one_host_share_the_file(tmp_path: Path) -> None:
    one, other = HostLock(tmp_path / "jobs.db"), HostLock(tmp_path / "jobs.db")
    one.take()
    other.take()
    assert (tmp_path / "jobs.db.host").read_text() == this_host()
    one.leave()
    assert (tmp_path / "jobs.db.host").read_text() == this_host()
    other.leave()
    assert (tmp_path / "jobs.db.host").read_text() == ""


def test_a_second_host_is_refused_where_it_sees_the_lock(tmp_path: Path) -> None:
    """On disks that pass locks on from host to host."""
    ours, theirs = HostLock(tmp_path / "jobs.db", "us"), HostLock(tmp_path / "jobs.db", "them")
    ours.take()
    with pytest.raises(JobsAway, match="another host uses the file"):
        theirs.take()
    ours.leave()
    theirs.take()
    theirs.leave()


def test_a_second_host_is_refused_where_it_sees_signs_of_life_only(tmp_path: Path) -> None:
    host = OtherHost(tmp_path / "jobs.db", beats=5)
    with pytest.raises(JobsAway, match="another host uses the file"):
        HostLock(tmp_path / "jobs.db", sleep=host.sleep).take()


def test_what_another_host_left_behind_is_taken_over(tmp_path: Path) -> None:
    host = OtherHost(tmp_path / "jobs.db", beats=0)
    lock = HostLock(tmp_path / "jobs.db", sleep=host.sleep)
    lock.take()
    assert host.slept == WATCH and host.lock.read_text() == this_host()
    lock.leave()


async def test_a_store_that_is_in_use_shows_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BEAT", 0.01)
    store = await opened(tmp_path / "jobs.db")
    before = (tmp_path / "jobs.db.host").stat().st_mtime_ns
    async with asyncio.timeout(30):
        while (tmp_path / "jobs.db.host").stat().st_mtime_ns == before:
            await asyncio.sleep(0.01)
    await store.stop()


async def test_a_second_host_cannot_start(tmp_path: Path) -> None:
    store = await opened(tmp_path / "jobs.db")
    with pytest.raises(JobsAway, match="another host uses the file"):
        await opened(tmp_path / "jobs.db", lock=HostLock(tmp_path / "jobs.db", "another"))
    assert (await store.enqueue(new("a"))).is_new
    await store.stop()


@pytest.mark.alone
def test_a_host_that_died_is_no_host(tmp_path: Path) -> None:
    """The kernel lets go of what a killed process held; its name stays in the file, and is this host's."""
    code = f"from gateway.jobs.sqlite.host_lock import *; HostLock(Path({str(tmp_path / 'jobs.db')!r})).take(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    begun = time.monotonic()
    lock = HostLock(tmp_path / "jobs.db")
    lock.take()
    assert time.monotonic() - begun < 1
    lock.leave()


# Disks.

MOUNTS = """\
22 1 8:1 / / rw,relatime - overlay overlay rw
23 22 8:1 / /data rw,relatime shared:1 - ext4 /dev/sda1 rw
24 23 0:40 / /data/net rw,relatime shared:2 master:1 - nfs4 server:/export rw
25 22 0:41 / /tmp rw - tmpfs tmpfs rw
26 22 0:42 / /with\\040blank rw - cifs //server/share rw
27 22 0:43 / /tmp rw - ext4 /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/jobs.db", "ext4"),
        ("/data/net/jobs.db", "nfs4"),
        ("/data/network/jobs.db", "ext4"),
        ("/var/jobs.db", "overlay"),
        ("/with blank/jobs.db", "cifs"),
        ("/tmp/jobs.db", "ext4"),  # mounted over what was there
    ],
)
def test_the_filesystem_of_a_file(tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert disk.filesystem(Path(path), tmp_path / "mounts") == kind


def test_no_filesystem_is_known_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert disk.filesystem(tmp_path, tmp_path / "none") == ""


def test_network_disks_are_refused_and_passing_ones_warned_of() -> None:
    assert "network disk (nfs4)" in disk.refusal("nfs4")
    assert disk.refusal("ext4") == disk.refusal("") == disk.warning("ext4") == disk.warning("") == ""
    assert "lost with the container" in disk.warning("overlay") and "lies in memory" in disk.warning("tmpfs")


async def test_a_file_on_a_network_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "filesystem", lambda path: "nfs4")
    with pytest.raises(JobsAway, match="network disk"):
        await opened(tmp_path / "jobs.db")


async def test_a_disk_that_dies_with_the_container_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "filesystem", lambda path: "overlay")
    store = await opened(tmp_path / "jobs.db")
    assert "mount a volume for it" in store.state().warnings[0]
    await store.stop()


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one" * 20, b"SQLite format 3\0" + b"\xff" * 4096])
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "jobs.db").write_bytes(content)
    with pytest.raises(JobsAway, match="cannot be used"):
        await opened(tmp_path / "jobs.db")
    assert (tmp_path / "jobs.db").read_bytes() == content


async def test_a_file_of_a_newer_gateway_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "jobs.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JobsAway, match="newer gateway"):
        await opened(tmp_path / "jobs.db")


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JobsAway, match="cannot be used"):
        await opened(tmp_path / "file" / "jobs.db")


async def test_nothing_is_done_before_the_start_and_after_the_end(tmp_path: Path) -> None:
    store = SqliteJobs(tmp_path / "jobs.db")
    with pytest.raises(JobsAway, match="closed"):
        await store.enqueue(new("a"))
    await store.start()
    await store.stop()
    with pytest.raises(JobsAway, match="closed"):
        await store.get("a")


FULL = """
import asyncio, resource, sys
from pathlib import Path
from gateway.jobs.contract import *
from gateway.jobs.sqlite.store import SqliteJobs

async def main():
    store = SqliteJobs(Path(sys.argv[1]))
    await store.start()
    for n in range(20):
        await store.enqueue(NewJob(id=f"before{n}", type="email", payload="x" * 1000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    lost = 0
    for n in range(400):
        try:
            await store.enqueue(NewJob(id=f"full{n}", type="email", payload="x" * 1000))
        except JobsAway as error:
            why, lost = str(error), lost + 1
    assert lost > 100 and not store.state().is_up and store.state().why == why, (lost, store.state())
    assert await store.get("before0") is not None
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert (await store.enqueue(NewJob(id="after", type="email", payload=1))).is_new and store.state().is_up
    kept = sum([depth.count for depth in await store.depths()])
    assert kept == 20 + 400 - lost + 1, (kept, lost)
    await store.stop()
    print(why)

asyncio.run(main())
"""


def test_a_full_disk_is_told_and_what_was_stored_stays(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "jobs.db")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "disk" in done.stdout
    assert "jobs cannot be written" in done.stderr


# Clocks.


async def test_a_clock_that_goes_back_keeps_nothing_waiting(tmp_path: Path) -> None:
    clock = Clock(BEGIN)
    store = await opened(tmp_path / "jobs.db", clock)
    await store.enqueue(new("active"))
    await store.claim(WANT, 9, 30.0, "dead")
    await store.enqueue(new("queued"))
    await store.enqueue(new("delayed", delay=60))
    await store.enqueue(new("rated", type="sms"))
    await store.claim([Want("sms", 0, 3, rate=1.0)], 9, 30.0, "me")
    clock.advance(-3600)
    assert [job.id for job in (await store.claim(WANT, 9, 30.0, "me")).jobs] == ["queued"]
    assert [job.id for job in (await store.claim([Want("sms", 9, 3, rate=1.0)], 9, 30.0, "me")).jobs] == ["rated"]
    clock.advance(31)
    assert [job.id for job in (await store.claim(WANT, 9, 1e3, "me")).jobs] == ["active", "queued"]  # their leases are over
    clock.advance(30)
    assert [job.id for job in (await store.claim(WANT, 9, 1e3, "me")).jobs] == ["delayed"]
    assert (await store.sweep(Keep())).parked == 0
    clock.advance(-0.5)  # within what clocks do
    assert (await store.enqueue(new("late"))).is_new
    await store.stop()


# Others.


async def test_a_write_of_another_process_is_waited_for(tmp_path: Path) -> None:
    store = await opened(tmp_path / "jobs.db")
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asked = asyncio.create_task(store.enqueue(new("a")))
    await asyncio.sleep(0.05)
    assert not asked.done()
    other.execute("COMMIT")
    other.close()
    assert (await asked).is_new
    await store.stop()


async def test_a_disk_that_does_not_answer_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "DEADLINE", 0.05)
    store = await opened(tmp_path / "jobs.db")
    other = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JobsAway, match="did not answer within"):
        await store.enqueue(new("a"))
    other.execute("COMMIT")
    other.close()
    await store.enqueue(new("b"))
    await store.stop()


async def test_one_bad_call_does_not_spoil_the_others_of_its_flush(tmp_path: Path) -> None:
    store = await opened(tmp_path / "jobs.db")

    def bad(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO job (id) VALUES ('half')")

    told = await asyncio.gather(store.enqueue(new("a")), store.database.write(bad), store.enqueue(new("b")), return_exceptions=True)
    assert isinstance(told[1], JobsAway) and [one for one in told if not isinstance(one, JobsAway)] == [("a", True), ("b", True)]
    assert len(await store.page()) == 2
    await store.stop()


async def test_an_idle_worker_writes_nothing(tmp_path: Path) -> None:
    clock = Clock(BEGIN)
    store = await opened(tmp_path / "jobs.db", clock)
    await store.claim(WANT, 9, 30.0, "me")
    changes = await store.database.read(lambda db: db.total_changes)
    for _ in range(10):
        await store.claim(WANT, 9, 30.0, "me")
    assert await store.database.read(lambda db: db.total_changes) == changes
    clock.advance(PATIENCE / 2)
    await store.claim(WANT, 9, 30.0, "me")  # that it knows its types is told again
    assert await store.database.read(lambda db: db.total_changes) > changes
    await store.stop()


async def test_what_is_stored_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from gateway.jobs.contract import NewJob
from gateway.jobs.sqlite.store import SqliteJobs

async def one(store, n):
    await store.enqueue(NewJob(id=str(n), type="email", payload=n))
    print(n, flush=True)

async def main():
    store = SqliteJobs(Path(sys.argv[1]))
    await store.start()
    for n in range(0, 100_000, 20):
        await asyncio.gather(*(one(store, m) for m in range(n, n + 20)))

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(tmp_path / "jobs.db"), stdout=subprocess.PIPE)
    assert process.stdout is not None
    told = [int(await process.stdout.readline()) for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in (await process.stdout.read()).splitlines()]
    await process.wait()
    store = await opened(tmp_path / "jobs.db")
    assert {str(n) for n in told} <= {job.id for job in await store.page(limit=10**6)}
    await store.stop()


# Backups.


async def test_a_backup_is_whole_and_replaces_nothing(tmp_path: Path) -> None:
    store = await opened(tmp_path / "jobs.db")
    for n in range(7):
        await store.enqueue(new(str(n)))
    await store.claim(WANT, 1, 30.0, "me")
    await store.finish([Finish("0", Done("sent"))], "me")
    assert await asyncio.to_thread(backup, tmp_path / "jobs.db", tmp_path / "copy.db") == 7
    with pytest.raises(JobsAway, match="replaces nothing"):
        backup(tmp_path / "jobs.db", tmp_path / "copy.db")
    with pytest.raises(JobsAway, match="there is no file"):
        backup(tmp_path / "none.db", tmp_path / "other.db")
    with pytest.raises(JobsAway, match="cannot be copied"):
        backup(tmp_path / "jobs.db", tmp_path / "none" / "copy.db")
    await store.stop()
    copy = await opened(tmp_path / "copy.db")
    job = await copy.get("0")
    assert job is not None and job.result == "sent" and len(await copy.page()) == 7
    await copy.stop()
    assert sorted(file.name for file in tmp_path.iterdir() if "part" in file.name) == []
